package batch

import (
	"testing"

	"ringcached/internal/record"
	"ringcached/ring"
)

// TestPartOfRecordHoldsNothing: a value that did not come, and holds memory, is not spared because half a record waits for its rest. Input that waits for the
// server spares it.
func TestPartOfRecordHoldsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		flags         connFlags
		input         string
		opened, stays bool
		seconds       uint32 // since it came
	}{
		"plain":                       {0, "set a", false, true, 100},
		"half a record":               {flagTLS, "\x17\x03\x03", false, true, recordSeconds},
		"half a record that is stuck": {flagTLS, "\x17\x03\x03", false, false, recordSeconds + 1},
		"opened":                      {flagTLS, "set a", true, true, 100},
		"its turn comes":              {flagTLS | flagReady, "\x17\x03\x03", false, true, 100},
	} {
		t.Run(name, func(t *testing.T) {
			ch, c := unserved(t, EngineEpoll)
			ch.handler = crowded{}
			ch.tls.ciphers, ch.tls.states = record.New(2, ring.Map), []*[1 << chunkBits]tlsState{{}}
			c.set(test.flags)
			if !ch.keep(c, []byte(test.input)) {
				t.Fatal("no memory")
			}
			if test.opened {
				s := ch.inputBuffer(c)
				s.opened, s.sealed = len(s.buf), len(s.buf)
			}
			ch.second += test.seconds
			if closed := ch.endOne(c.slot, false, false); closed == test.stays {
				t.Errorf("closed: %v, want %v", closed, !test.stays)
			}
		})
	}
}

// TestSealedRepliesFillTheArena: a batch ends when the arena is full with what its replies become when they are sealed, be it written or referenced. Of a
// large reply only a part counts, since it is sealed as it is sent.
func TestSealedRepliesFillTheArena(t *testing.T) {
	const size = 16000
	value := make([]byte, size)
	for name, test := range map[string]struct {
		flags   connFlags
		written bool
		times   int // with so many values the arena is full; 0: never
	}{
		"plain references": {0, false, 0},
		"plain":            {0, true, 10},
		"references":       {flagTLS, false, 10},
		"written":          {flagTLS, true, 5},
		"kernel's":         {flagTLS | flagKernelTLS, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ch, c := unserved(t, EngineEpoll)
			ch.out.most = 10 * size
			c.set(test.flags)
			for n := 1; n <= 12; n++ {
				c.reply = -1 // as if each were another connection's
				if w := ch.writerTo(c); test.written {
					w.Reserve(size)
					w.Commit(size)
				} else {
					w.Reference(value, 0)
				}
				if full := test.times > 0 && n >= test.times; ch.out.spent() != full {
					t.Errorf("%d values: full is %v, want %v", n, !full, full)
				}
			}
			ch.out.reset()
		})
	}
	ch, c := unserved(t, EngineEpoll)
	c.set(flagTLS)
	for range 10 {
		ch.writerTo(c).Reference(value, 0)
	}
	if n := ch.out.total; n != sealAtOnce {
		t.Errorf("a large reply counts %d bytes, want %d", n, sealAtOnce)
	}
	ch.out.reset()
}
