package evictsim

import (
	"math"
	"slices"
	"testing"
)

func TestSlabsEvictWithinTheirClass(t *testing.T) {
	const page = 1024
	small, large := uint32(96), uint32(1000) // ten small ones to a page, one large
	s := NewSlabs(newLRU, 2*page, page)
	for key := range uint32(20) {
		s.Get(Request{key, small}) // both pages
	}
	for round, want := range []bool{false, true} {
		if got := s.Get(Request{100, large}); got != want {
			t.Errorf("large item, get %d: %v", round, got)
		}
	}
	if s.Get(Request{101, large}) || s.Get(Request{100, large}) {
		t.Error("the class of large items has more than its first page")
	}
	for key := range uint32(20) {
		if !s.Get(Request{key, small}) {
			t.Errorf("small item %d was evicted for large ones", key)
		}
	}
}

func newLRU() Policy { return new(lru) }

func TestStrictLRUCountsBytes(t *testing.T) {
	var asked []Request
	hits := 0
	for i, c := range []struct {
		r   Request
		hit bool
	}{
		{Request{1, 40}, false}, {Request{2, 40}, false}, {Request{3, 20}, false}, {Request{1, 40}, true},
		{Request{4, 50}, false},                                                 // 2 and 3 have to go
		{Request{1, 40}, true}, {Request{4, 50}, true}, {Request{5, 10}, false}, // full to the byte
		{Request{4, 50}, true}, {Request{1, 40}, true}, {Request{3, 20}, false}, // 5 and 4 go
		{Request{1, 40}, true}, {Request{4, 50}, false},
	} {
		if asked = append(asked, c.r); c.hit {
			hits++
		}
		if got := StrictLRU(asked, 0, 100); math.Abs(got-float64(hits)/float64(i+1)) > 1e-9 {
			t.Errorf("request %d, key %d: hit ratio %v, want %d of %d", i, c.r.Key, got, hits, i+1)
		}
	}
}

func TestReplayCountsAfterTheWarmup(t *testing.T) {
	a, b := Request{1, 1}, Request{2, 1}
	for _, c := range []struct {
		warmup int
		want   float64
	}{{0, 0.5}, {2, 1}, {3, 1}} {
		if got, _ := NewCount(newLRU, 2).Replay([]Request{a, b, a, b}, c.warmup); got != c.want {
			t.Errorf("after %d: %v, want %v", c.warmup, got, c.want)
		}
	}
	if got, _ := NewCount(newLRU, 1).Replay([]Request{a, b, a, b}, 0); got != 0 {
		t.Errorf("a cache of one item: %v", got)
	}
}

func TestTracesAreWhatTheySay(t *testing.T) {
	const keys = 1000
	for _, trace := range Traces() {
		first, again, other := trace.Take(keys, 1, 5000), trace.Take(keys, 1, 5000), trace.Take(keys, 2, 5000)
		if !slices.Equal(first, again) || slices.Equal(first, other) {
			t.Errorf("%s: the seed does not give the trace", trace.Name)
		}
	}
	seen := make(map[uint32]int)
	once := 0
	for i, r := range scan(t).Take(keys, 1, 6000) {
		if seen[r.Key]++; r.Key >= keys {
			once++
			if at := i % 600; at < 500 || seen[r.Key] > 1 {
				t.Fatalf("request %d is for key %d", i, r.Key)
			}
		}
	}
	if once != 1000 {
		t.Errorf("%d of 6000 requests belong to scans", once)
	}
	if most := mostAsked(one(t, "newest").Take(keys, 1, 2000)); most < keys || most > keys+200 {
		t.Errorf("the newest keys are not the most popular, but %d is", most)
	}
	shift := one(t, "shift").Take(keys, 1, 6*500)
	for i, want := range []uint32{0, 125, 250, 375, 500, 625} {
		if got := mostAsked(shift[i*500 : (i+1)*500]); got != want {
			t.Errorf("after %d shifts key %d is the most popular, want %d", i, got, want)
		}
	}
	late := one(t, "swap").Take(keys, 1, 60_000)[59_500:]
	if a, b := mostAsked(late), mostAsked(one(t, "zipf-0.99").Take(keys, 1, 500)); a == b {
		t.Errorf("key %d is the most popular after 120 shifts, too", a)
	}
}

// TestRecentIsTheStackModel: strict LRU hits what the model says.
func TestRecentIsTheStackModel(t *testing.T) {
	const keys, room, n, fresh = 3000, 300, 200_000, 1. / recentFresh
	weight := func(ranks int) (sum float64) {
		for k := range ranks {
			sum += math.Pow(float64(k+1), -0.9)
		}
		return sum
	}
	requests := Trace{exponent: 0.9, draw: recent}.Take(keys, 1, n)
	want := (1 - fresh) * weight(room) / weight(keys)
	if got, _ := NewCount(newLRU, room).Replay(requests, n/10); math.Abs(got-want) > 0.01 {
		t.Errorf("LRU hits %v of the requests, want %v", got, want)
	}
	seen := make(map[uint32]bool)
	unseen := 0
	for _, r := range requests {
		if r.Key >= keys && !seen[r.Key] {
			unseen++
		}
		seen[r.Key] = true
	}
	if got := float64(unseen) / n; math.Abs(got-fresh) > fresh/20 {
		t.Errorf("%v of the requests are for new keys, want %v", got, fresh)
	}
}

func one(t *testing.T, name string) Trace {
	t.Helper()
	all := Traces()
	i := slices.IndexFunc(all, func(t Trace) bool { return t.Name == name })
	if i < 0 {
		t.Fatalf("there is no trace %s", name)
	}
	return all[i]
}

func scan(t *testing.T) Trace { return one(t, "scan") }

func mostAsked(requests []Request) (most uint32) {
	counts := make(map[uint32]int)
	for _, r := range requests {
		if counts[r.Key]++; counts[r.Key] > counts[most] {
			most = r.Key
		}
	}
	return most
}

func TestMixedSizes(t *testing.T) {
	const keys = 100_000
	counts := make(map[uint32]int)
	var sum int64
	mixed := one(t, "mixed")
	for key := range uint32(keys) {
		counts[mixed.size(key)]++
		sum += int64(mixed.size(key))
	}
	for _, m := range mixedSizes {
		if got := 100 * counts[m.size] / keys; got+1 < int(m.percent) || got > int(m.percent) {
			t.Errorf("%d %% of the items have %d bytes, want %d %%", got, m.size, m.percent)
		}
	}
	if got := mixed.Bytes(keys); got != sum {
		t.Errorf("%d bytes in all, want %d", got, sum)
	}
}
