package hotkeys

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
)

// clock is a Set's clock in a test.
type clock struct{ second uint32 }

func (c *clock) now() uint32 { return c.second }

// zipf draws numbers from 0 on by Zipf's law: number i is as likely as (i+1)^-exponent.
type zipf struct {
	random *rand.Rand
	upTo   []float64 // by number: the sum of what it and those before it weigh
}

func newZipf(seed uint64, n int, exponent float64) *zipf {
	z := &zipf{random: rand.New(rand.NewPCG(seed, 0)), upTo: make([]float64, n)}
	sum := 0.0
	for i := range n {
		sum += math.Pow(float64(i+1), -exponent)
		z.upTo[i] = sum
	}
	return z
}

func (z *zipf) next() int {
	return sort.SearchFloat64s(z.upTo, z.random.Float64()*z.upTo[len(z.upTo)-1])
}

func name(i int) []byte { return fmt.Appendf(nil, "user:%07d:profile", i) }

// check checks a sketch against how often each key was offered, halved as often as the sketch was.
func (k *Sketch) check(t *testing.T, want map[string]float64) {
	t.Helper()
	for r := range k.used {
		slot := k.slot[r]
		if int(k.rank[slot]) != r {
			t.Fatalf("slot %d has rank %d, want %d", slot, k.rank[slot], r)
		}
		if r > 0 && k.count[r] < k.count[r-1] {
			t.Fatalf("rank %d has count %d, the one below %d", r, k.count[r], k.count[r-1])
		}
		key := k.keys[slot][:k.length[slot]]
		if found, ok := k.find(key, k.hash[slot]); !ok || found != slot {
			t.Fatalf("%q is in slot %d, found in %d: %v", key, slot, found, ok)
		}
		if n := want[string(key)]; n > float64(k.count[r]) || n < float64(k.sure[r]) {
			t.Fatalf("%q was offered %g times, counted %d to %d", key, n, k.sure[r], k.count[r])
		}
	}
	inTable := 0
	for _, entry := range k.table {
		if entry != 0 {
			inTable++
		}
	}
	if inTable != k.used {
		t.Fatalf("the table has %d keys of %d", inTable, k.used)
	}
	floor := 0.0
	if k.used == size {
		floor = float64(k.count[0])
	}
	for key, n := range want {
		if _, ok := k.find([]byte(key), hashOf(k, key)); !ok && n > floor {
			t.Fatalf("%q has no counter: it was offered %g times, the smallest has %g", key, n, floor)
		}
	}
}

// TestBounds: with few keys or many, evenly used or not, and halved in between, each count is within its bounds, and no key is without a counter that
// must have one.
func TestBounds(t *testing.T) {
	for _, keys := range []int{1, 10, size - 1, size, size + 1, 3 * size, 50 * size} {
		for _, exponent := range []float64{0, 0.5, 0.99, 1.5} {
			t.Run(fmt.Sprintf("%d keys, exponent %g", keys, exponent), func(t *testing.T) {
				c := clock{100}
				k := newSketch(c.now)
				z := newZipf(uint64(keys), keys, exponent)
				want := map[string]float64{}
				for i := range 36_000 {
					key := name(z.next())
					k.Offer(key)
					want[string(key)]++
					if i%17_001 == 17_000 {
						k.check(t, want)
						c.second += HalfLife
						for key := range want {
							want[key] /= 2
						}
					}
				}
				k.age(c.second)
				k.check(t, want)
			})
		}
	}
}

// TestKeys: a key is any bytes, up to 250; what is none is not counted.
func TestKeys(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	k := s.NewSketch()
	longest := []byte(strings.Repeat("k", keyMax))
	other := append(slices.Clone(longest[:keyMax-1]), 'x')
	want := map[string]uint64{
		string(longest): 5, string(other): 4, "\x00": 3, "\x00\x00": 7, "\xff\r\n \x80": 6, "a": 2,
	}
	for key, n := range want {
		for range n {
			k.Offer([]byte(key))
		}
	}
	for range 9 {
		k.Offer(nil)
		k.Offer([]byte{})
		k.Offer(append(longest, 'k'))
	}
	r := s.Report(100)
	got := map[string]uint64{}
	for _, key := range r.Keys {
		got[string(key.Name)] = key.Count
		if key.Error != 0 {
			t.Errorf("%q: error %d, though there are counters for all", key.Name, key.Error)
		}
	}
	if !maps.Equal(got, want) || r.Uses != 27 {
		t.Errorf("got %v, %d uses", r.Keys, r.Uses)
	}
	if !slices.IsSortedFunc(r.Keys, func(a, b Key) int { return int(b.Count) - int(a.Count) }) {
		t.Errorf("out of order: %v", r.Keys)
	}
}

// TestOfferKeepsNothing: the caller's key may change after Offer, and what Report gave after that.
func TestOfferKeepsNothing(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	k := s.NewSketch()
	key := []byte("abc")
	k.Offer(key)
	k.Offer(key)
	copy(key, "xyz")
	first := s.Top(1)
	copy(first[0].Name, "123")
	for range 3 {
		k.Offer([]byte("abc"))
	}
	if got := s.Top(1); len(got) != 1 || string(got[0].Name) != "abc" || got[0].Count != 5 {
		t.Errorf("got %v", got)
	}
}

// TestOfferAllocatesNothing, whether a key has a counter or takes one over, or comes when counts are halved.
func TestOfferAllocatesNothing(t *testing.T) {
	c := clock{1}
	k := newSketch(c.now)
	for i := range 2 * size {
		k.Offer(name(i))
	}
	key := make([]byte, keyMax)
	i := uint64(0)
	if n := testing.AllocsPerRun(10_000, func() {
		binary.BigEndian.PutUint64(key, i)
		k.Offer(key)
		k.Offer(key)
		if i++; i%1000 == 0 {
			c.second += HalfLife
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOfferWaitsForNobody: a sample that comes while the sketch is read is lost.
func TestOfferWaitsForNobody(t *testing.T) {
	c := clock{1}
	k := newSketch(c.now)
	k.Offer([]byte("a"))
	k.mu.Lock()
	k.Offer([]byte("a"))
	k.mu.Unlock()
	k.Offer([]byte("a"))
	if k.count[0] != 2 || k.samples != 2 {
		t.Errorf("counted %d of %d samples, want 2", k.count[0], k.samples)
	}
}

func BenchmarkOffer(b *testing.B) {
	c := clock{1}
	k := newSketch(c.now)
	z := newZipf(1, 1_000_000, 0.99)
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = name(z.next())
	}
	i := 0
	for b.Loop() {
		k.Offer(keys[i%len(keys)])
		i++
	}
}
