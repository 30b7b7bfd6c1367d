package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"ringcached/bench/evictsim"

	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
)

// asks makes requests of letters: each for an item of its own size.
func asks(keys string) (all []evictsim.Request) {
	for _, k := range keys {
		all = append(all, evictsim.Request{Key: uint32(k), Size: 100 + uint32(k)})
	}
	return all
}

func TestLookAsideIsReadThrough(t *testing.T) {
	for _, c := range []struct {
		keys   string
		warmup int
		room   int
		want   float64
	}{
		{"aaaa", 0, 0, 0.75}, // one group each
		{"abcabc", 0, 0, 0.5},
		{"abcabc", 3, 0, 1},
		{"abab", 3, 0, 1},
		{"abcdabcd", 0, 3, 3. / 8}, // two groups: the misses of the first are stored together, and the fake evicts what came first
		{"abacada", 1, 3, 2. / 6},
		{strings.Repeat("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", 3), 52, 0, 1},
	} {
		s := fakeserver.Start(t, nil)
		s.Room = c.room
		got, err := lookAside(t.Context(), s.Addr(), asks(c.keys), c.warmup, 1_000_000)
		if err != nil || got != c.want {
			t.Errorf("%s: hit ratio %v, %v, want %v", c.keys, got, err, c.want)
		}
	}
}

func TestLookAsideChecksReplies(t *testing.T) {
	for name, c := range map[string]struct {
		flaw fakeserver.Flaw
		says string
	}{
		"another value": {func(_ int, reply []byte) ([]byte, bool) {
			if bytes.HasPrefix(reply, []byte("VALUE")) {
				reply[40] ^= 1
			}
			return reply, false
		}, "is not what was stored"},
		"another key": {func(_ int, reply []byte) ([]byte, bool) {
			return bytes.Replace(reply, []byte("VALUE i"), []byte("VALUE j"), 1), false
		}, `the server answered "VALUE j`},
		"no room": {func(_ int, reply []byte) ([]byte, bool) {
			return bytes.Replace(reply, []byte("STORED"), []byte("SERVER_ERROR out of memory storing object"), 1), false
		}, "out of memory"},
		"hangs up": {func(n int, reply []byte) ([]byte, bool) { return reply, n == 2 }, ""},
	} {
		_, err := lookAside(t.Context(), fakeserver.Start(t, c.flaw).Addr(), asks("abab"), 0, 1_000_000)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s", name, err, c.says)
		}
	}
}

// TestLookAsideOnKnowsWhatIsHeld: two items of 1000 bytes, whatever the server adds to each.
func TestLookAsideOnKnowsWhatIsHeld(t *testing.T) {
	s := fakeserver.Start(t, nil)
	requests := []evictsim.Request{{Key: 1, Size: 300}, {Key: 2, Size: 1700}, {Key: 1, Size: 300}}
	p := probeOf(t.Context(), s)
	defer p.close()
	ratio, items, held := p.lookAside(requests, 0, 1_000_000)
	if p.err != nil || ratio != 1./3 || items != 2 || held != 2000 {
		t.Errorf("hit ratio %v, %d items, %d bytes held, %v", ratio, items, held, p.err)
	}
}

func TestHitRatioRow(t *testing.T) {
	one := ratioTrace{Trace: evictsim.Trace{Title: "Zipf"}, keys: 10, rate: 100, counted: 100, seeds: []ratioSeed{
		{Hits: []float64{0.5, 0.52}, Items: []int64{7, 6}, LRU: 0.4}, {Hits: []float64{0.54, 0.53}, Items: []int64{7, 6}, LRU: 0.42},
	}}
	got := fmt.Sprint(one.row([]string{sut.Ringcached, sut.Memcached})[:10])
	if want := "[Zipf 0 10 200 52 52.5 41 0.14583333333333334 7 6 -0.50 (-2.00..+1.00) BELOW memcached]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	one.seeds = []ratioSeed{{Hits: []float64{0.5}, Items: []int64{7}}}
	if got := one.row([]string{sut.Ringcached})[8]; got != "" {
		t.Errorf("alone: %v", got)
	}
}
