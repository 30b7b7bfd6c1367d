package record

import (
	"crypto/tls"
	"testing"
)

// TestOurKeyUpdate: after so many records of AES-GCM in TLS 1.3 a new key is due, and some records later nothing is sealed without one.
func TestOurKeyUpdate(t *testing.T) {
	before := UpdateAfter
	defer func() { UpdateAfter = before }()
	if before != 1<<24 {
		t.Errorf("a new key is due after %d records", before)
	}
	UpdateAfter = 8
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(4, heapMemory)
		limited := client.version == 3 && client.suite != chacha
		for round := range 3 {
			for n := range 8 + 2 {
				if client.KeyUpdateDue() != (limited && n >= 8) {
					t.Fatalf("round %d: due after %d records: %v", round, n, client.KeyUpdateDue())
				}
				exchange(t, c, client, server, "data")
			}
			if n := c.Seal(1, client, make([]byte, 100), 1); (n == 0) != limited || client.Silent() {
				t.Fatalf("round %d: %d bytes are sealed with a key that was used too often", round, n)
			}
			if !limited {
				return
			}
			if _, _, event := c.Open(2, server, c.AppendKeyUpdate(1, client, nil, false)); event.Kind != EventKeyUpdate || client.KeyUpdateDue() || server.KeyUpdateDue() {
				t.Fatalf("%+v", event)
			}
		}
	})
}

// TestSequenceNumbersEnd: a connection ends before its sequence numbers do, in either direction.
func TestSequenceNumbersEnd(t *testing.T) {
	before := UpdateAfter
	UpdateAfter = recordsMax // no KeyUpdate before
	defer func() { UpdateAfter = before }()
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(4, heapMemory)
		client.out.seq, server.in.seq = recordsMax-1, recordsMax-1
		record := make([]byte, 100)
		exchange(t, c, client, server, "the last")
		if n := c.Seal(1, client, record, 1); n != 0 || !client.Silent() || client.KeyUpdateDue() {
			t.Errorf("%d bytes were sealed, silent: %v", n, client.Silent())
		}
		wantInternal := Event{Kind: EventFatal, Alert: InternalError}
		if _, _, event := c.Open(2, server, sealKind(t, client, applicationData, 'x')); event != wantInternal {
			t.Errorf("the peer's sequence numbers ended: %+v", event)
		}
		server.out.seq = recordsMax - 2
		client.in.seq = recordsMax - 2
		if _, _, event := c.Open(1, client, sealKind(t, server, applicationData, 'x')); event != wantInternal {
			t.Errorf("our sequence numbers ended: %+v", event)
		}
		if alert := c.AppendAlert(1, client, nil, InternalError); len(alert) != client.Overhead()+2 {
			t.Errorf("the alert has %d bytes", len(alert))
		}
	})
}

// TestSealRefusesTooMuch: a record has at most MaxPlain bytes, and does not go beyond its buffer.
func TestSealRefusesTooMuch(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, _ *State) {
		c := New(4, heapMemory)
		for name, f := range map[string]func(){
			"too much":                      func() { c.Seal(1, client, make([]byte, 20000), MaxPlain+1) },
			"no room":                       func() { c.Seal(1, client, make([]byte, 100+client.Overhead()-1), 100) },
			"no room, though capacity":      func() { c.Seal(1, client, make([]byte, 100+client.Overhead()-1, 1000), 100) },
			"no room for pieces":            func() { c.SealCopy(1, client, make([]byte, 100, 1000), make([]byte, 60), make([]byte, 60)) },
			"no room behind what is copied": func() { c.SealCopy(1, client, make([]byte, client.Prefix()+60, 1000), make([]byte, 60)) },
		} {
			before := client.out.seq
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: sealed", name)
					}
				}()
				f()
			}()
			if client.out.seq != before {
				t.Errorf("%s: a sequence number is gone", name)
			}
		}
		room := make([]byte, 1000)
		if n := c.Seal(1, client, room[:500], 100); n != 100+client.Overhead() || !allZero(room[n:]) {
			t.Errorf("%d bytes, and more", n)
		}
	})
}

// TestNothingIsAllocated for a record, or for a new key of a peer.
func TestNothingIsAllocated(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(8, heapMemory)
		buf, text := make([]byte, 200), make([]byte, 64)
		room := make([]byte, 0, AlertLen)
		one := func() {
			n := c.Seal(1, client, buf, len(text))
			if _, _, event := c.Open(2, server, buf[:n]); event.Kind != EventData {
				t.Fatalf("%+v", event)
			}
			n = c.SealCopy(2, server, buf, text[:10], text[10:])
			if _, _, event := c.Open(1, client, buf[:n]); event.Kind != EventData {
				t.Fatalf("%+v", event)
			}
			c.AppendAlert(1, client, room, UserCanceled)
			server.in.seq++
		}
		one()
		if n := testing.AllocsPerRun(100, one); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestSecretsOfAState: another State goes on with them.
func TestSecretsOfAState(t *testing.T) {
	for _, v := range variants() {
		c := New(8, heapMemory)
		k, err := someSecrets(v.suite, v.client)
		if err != nil {
			t.Fatal(err)
		}
		k.InSeq, k.OutSeq = 3, 4
		first, second := new(State), new(State)
		if err := first.Start(&k); err != nil {
			t.Fatal(err)
		}
		again, err := first.Secrets()
		if err != nil || again != k {
			t.Errorf("%v: other secrets, %v", v, err)
		}
		if err := second.Start(&again); err != nil || *second != *first || second.Suite() != v.suite || second.Version() != v.version() {
			t.Errorf("%v: another State, of %v, %v", v, second, err)
		}
		again.Zero()
		if again != (Secrets{}) || k.String() != "(secrets)" || k.GoString() != "(secrets)" {
			t.Errorf("%v: secrets are shown", v)
		}
		c.AppendAlert(1, second, nil, CloseNotify)
		if _, err := second.Secrets(); err == nil {
			t.Errorf("%v: a connection that has ended goes on", v)
		}
	}
	client, server := newStates(t, tls.TLS_AES_128_GCM_SHA256)
	New(2, heapMemory).Open(1, server, sealKind(t, client, handshake, keyUpdate, 0, 0, 1, 1))
	if _, err := server.Secrets(); err == nil {
		t.Error("a KeyUpdate that is due is forgotten")
	}
}
