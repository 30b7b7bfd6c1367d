package evictsim

import "testing"

// play asks for one object after another, each a letter, and shows hits as '+' and misses as '-'.
func play(p Policy, room int, keys string) string {
	p.Grow(room)
	seen := make([]byte, 0, len(keys))
	for _, k := range []byte(keys) {
		switch {
		case p.Use(uint32(k - 'a')):
			seen = append(seen, '+')
		default:
			seen = append(seen, '-')
			p.Insert(uint32(k - 'a'))
		}
	}
	return string(seen)
}

func TestPoliciesByHand(t *testing.T) {
	kinds := Kinds()
	lru, segmented, clock, remembering, sieve, s3, probation := kinds[0].New, kinds[1].New, kinds[2].New, kinds[3].New, kinds[4].New, kinds[5].New, kinds[6].New
	for _, c := range []struct {
		name string
		make func() Policy
		room int
		keys string
		want string
	}{
		{"LRU: the use of a makes b the oldest", lru, 2, "abacba", "--+---"},
		{"LRU: one pass over more than fits leaves nothing", lru, 3, "abcdabcd", "--------"},

		{"segmented: a second use in COLD leads to WARM, which new items leave alone", segmented, 5, "abcdeaafghija", "-----++-----+"},
		{"segmented: a single use does not", segmented, 5, "abcdeafghija", "-----+------"},
		{"LRU does not keep it either way", lru, 5, "abcdeaafghija", "-----++------"},

		{"CLOCK: b goes, being the first without a use", clock, 2, "abacb", "--+--"},
		{"CLOCK: three uses are three more rounds", clock, 2, "aaaabcdea", "-+++----+"},
		{"CLOCK: and no more than three", clock, 2, "aaaaaabcdefa", "-+++++------"},
		{"CLOCK: what comes back has no use", clock, 2, "abcadea", "-------"},
		{"CLOCK with ghosts: it has one", remembering, 2, "abcadea", "------+"},

		{"SIEVE: the hand goes on among the new", sieve, 3, "abcadefab", "---+---+-"},

		{"S3-FIFO: what comes back is out of the way of the new", s3, 3, "abcdaefgha", "---------+"},
		{"S3-FIFO: as is what was used twice", s3, 3, "aaabcdefgha", "-++-------+"},
		{"S3-FIFO: but not what was used once", s3, 3, "aabcda", "-+----"},

		{"probation: what was used has passed it", probation, 3, "aabcdefga", "-+------+"},
		{"probation: what was not has not", probation, 3, "abcda", "-----"},
		{"probation: what comes back soon has not to", probation, 4, "abcdeafghija", "-----------+"},
		{"probation: without anybody on it the hand turns, over a and d", probation, 2, "aabcddead", "-+---+--+"},
	} {
		if got := play(c.make(), c.room, c.keys); got != c.want {
			t.Errorf("%s: %s with room for %d\n got %s\nwant %s", c.name, c.keys, c.room, got, c.want)
		}
	}
}

// TestClockLosesPatience: the hand does not go round all items because all are used.
func TestClockLosesPatience(t *testing.T) {
	for name, p := range map[string]Policy{"CLOCK": &clock{}, "probation": &clock{probation: true}} {
		const n = 200
		p.Grow(n)
		for key := range uint32(n) {
			p.Insert(key)
			for range 3 {
				p.Use(key)
			}
		}
		p.Insert(n)
		for key := range uint32(n + 1) {
			if there := p.Use(key); there != (key != patience) {
				t.Errorf("%s: item %d there: %v", name, key, there)
			}
		}
	}
}

// TestPoliciesKeepTheirPromises replays every trace on every policy.
func TestPoliciesKeepTheirPromises(t *testing.T) {
	const keys, room = 2000, 200
	for _, trace := range Traces() {
		requests := trace.Take(keys, 3, 20_000)
		for _, k := range Kinds() {
			p := k.New()
			p.Grow(room / 2)
			hits := 0
			for i, r := range requests {
				if i == len(requests)/4 {
					p.Grow(room - room/2)
				}
				if p.Use(r.Key) {
					hits++
				} else if p.Insert(r.Key); !p.Use(r.Key) {
					t.Fatalf("%s, %s: what was stored just now is not there", trace.Name, k.Name)
				}
				if n := p.Free(); n < 0 {
					t.Fatalf("%s, %s: %d items more than there is room for", trace.Name, k.Name, -n)
				}
			}
			if p.Free() != 0 {
				t.Errorf("%s, %s: room for %d items is left", trace.Name, k.Name, p.Free())
			}
			if hits < len(requests)/5 {
				t.Errorf("%s, %s: only %d hits", trace.Name, k.Name, hits)
			}
		}
	}
}

func BenchmarkPolicies(b *testing.B) {
	requests := Traces()[1].Take(100_000, 1, 1<<20)
	for _, k := range Kinds() {
		b.Run(k.Name, func(b *testing.B) {
			c := NewCount(k.New, 10_000)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c.Get(requests[i%len(requests)])
				i++
			}
		})
	}
}

// TestWritesOfHits: once a policy knows that an item is in use, its hits write nothing more; but for LRU's, which move the item each time another
// was used since.
func TestWritesOfHits(t *testing.T) {
	for _, c := range []struct {
		kind int
		keys string
		want int
	}{
		{0, "aaaaaa", 0}, {0, "abababab", 6}, {1, "cdefghijklababababab", 4}, {2, "abababababab", 6}, {3, "abababababab", 6}, {4, "abababab", 2}, {5, "abababababab", 6}, {6, "abababababab", 6},
	} {
		k := Kinds()[c.kind]
		p := k.New()
		play(p, 20, c.keys)
		if got := p.Writes(); got != c.want {
			t.Errorf("%s: %d hits wrote in %s, want %d", k.Name, got, c.keys, c.want)
		}
	}
}
