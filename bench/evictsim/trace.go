package evictsim

import (
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"

	"ringcached/bench/zipf"
)

// Trace is a kind of requests.
type Trace struct {
	Name  string
	Title string
	Mixed bool // sizes differ
	// Where one size of cache and of items is part of the trace: the bytes of an item's key and value, how many keys there are for each MB of
	// the cache, and how many times larger than for other traces the cache is. 0: as with other traces.
	ItemSize, KeysPerMB, Memory int
	// next makes the function that draws the requests for a number of keys.
	next func(keys int, src *rand.PCG) func() uint32
}

// Traces lists the traces of the study.
func Traces() []Trace {
	return []Trace{
		{Name: "zipf-0.7", Title: "Zipf 0.7", next: popular(0.7)},
		{Name: "zipf-0.99", Title: "Zipf 0.99", next: popular(0.99)},
		{Name: "zipf-1.2", Title: "Zipf 1.2", next: popular(1.2)},
		{Name: "scan", Title: "Zipf 0.99 with scans", next: scanned(0.99)},
		{Name: "swap", Title: "Zipf 0.99, swapping", next: shifting(0.99)},
		{Name: "shift", Title: "Zipf 0.99, all shifting", ItemSize: 500, KeysPerMB: 12_500, Memory: 2, next: allShifting(0.99)},
		{Name: "disk", Title: "disk blocks, by recency", ItemSize: 500, KeysPerMB: 12_500, Memory: 2, next: recent(diskReuse, diskFresh)},
		{Name: "newest", Title: "newest most popular", next: newestFirst},
		{Name: "mixed", Title: "Zipf 0.99, mixed sizes", Mixed: true, next: popular(0.99)},
	}
}

// Popular is a trace by Zipf's law with exponent s.
func Popular(s float64) Trace { return Trace{next: popular(s)} }

// Scan is one by Zipf's law with exponent s, between scans of keys that are asked for once.
func Scan(s float64) Trace { return Trace{next: scanned(s)} }

// Shifting is one by Zipf's law with exponent s, where keys change their popularity with others after every [ShiftAfter] requests.
func Shifting(s float64) Trace { return Trace{next: shifting(s)} }

// SelectTraces returns the named traces in the order of the table, all of them for no names.
func SelectTraces(names []string) ([]Trace, error) {
	all := Traces()
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, t := range all {
		known = append(known, t.Name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("trace %q is not one of %s", n, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(t Trace) bool { return !slices.Contains(names, t.Name) }), nil
}

// Requests yields requests for ever. The same seed gives the same ones.
func (t Trace) Requests(keys int, seed uint64) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		next := t.next(keys, rand.NewPCG(seed, 1))
		for {
			r := Request{Key: next(), Size: 1}
			if t.Mixed {
				r.Size = mixedSize(r.Key)
			}
			if !yield(r) {
				return
			}
		}
	}
}

// Take returns the first n requests.
func (t Trace) Take(keys int, seed uint64, n int) []Request {
	all := make([]Request, 0, n)
	for r := range t.Requests(keys, seed) {
		if len(all) == n {
			break
		}
		all = append(all, r)
	}
	return all
}

// Bytes is the size of all items that the keys have, together.
func (t Trace) Bytes(keys int) (sum int64) {
	for key := range uint32(keys) {
		if t.Mixed {
			sum += int64(mixedSize(key))
		} else {
			sum++
		}
	}
	return sum
}

// popular draws by Zipf's law: the key is the rank.
func popular(s float64) func(int, *rand.PCG) func() uint32 {
	return func(keys int, src *rand.PCG) func() uint32 { return zipf.New(src, keys, s).Draw }
}

// scanned draws by Zipf's law, and between bursts of half as many requests as there are keys a tenth as many keys come one after another that never
// come again: as many as the cache holds when it holds a tenth of the keys.
func scanned(s float64) func(int, *rand.PCG) func() uint32 {
	return func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, s)
		fresh, i := uint32(keys), 0
		return func() uint32 {
			if i++; i > keys/2+keys/10 {
				i = 1
			}
			if i <= keys/2 {
				return z.Draw()
			}
			fresh++
			return fresh - 1
		}
	}
}

// ShiftAfter is how many requests a shifting trace of a number of keys has from one shift to the next.
func ShiftAfter(keys int) int { return keys / 2 }

// shifting draws by Zipf's law, and each time that ShiftAfter requests have passed, a tenth of the keys change their popularity with others.
func shifting(s float64) func(int, *rand.PCG) func() uint32 {
	return func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, s)
		of := make([]uint32, keys) // the key of each rank
		for i := range of {
			of[i] = uint32(i)
		}
		below := func(n int) int {
			hi, _ := bits.Mul64(src.Uint64(), uint64(n))
			return int(hi)
		}
		i := 0
		return func() uint32 {
			if i++; i > ShiftAfter(keys) {
				i = 1
				for range keys / 20 { // two keys each
					a, b := below(keys), below(keys)
					of[a], of[b] = of[b], of[a]
				}
			}
			return of[z.Draw()]
		}
	}
}

// allShifting draws by Zipf's law, and each time that ShiftAfter requests have passed, the popularity of all keys moves at once: each takes the rank
// an eighth of the keys further on, so the most popular ones go to the far end of the tail or come from it.
func allShifting(s float64) func(int, *rand.PCG) func() uint32 {
	return func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, s)
		i, shift := 0, 0
		return func() uint32 {
			if i++; i > ShiftAfter(keys) {
				i, shift = 1, (shift+keys/8)%keys
			}
			return uint32((int(z.Draw()) + shift) % keys)
		}
	}
}

// newestFirst draws the age of the key by Zipf's law, and every tenth request comes after a new key has begun: what was hot cools down for good.
func newestFirst(keys int, src *rand.PCG) func() uint32 {
	z := zipf.New(src, keys, 0.99)
	newest, i := uint32(keys), 0
	return func() uint32 {
		if i++; i == 10 {
			i = 0
			newest++
		}
		return newest - z.Draw()
	}
}

// mixedSizes are the sizes of the items of a mixed trace in bytes, with how many in a hundred have them: many small ones, few that are large.
var mixedSizes = []struct{ percent, size uint32 }{{45, 120}, {25, 250}, {15, 600}, {10, 1500}, {5, 6000}}

// mixedSize is the size of a key's item, which has nothing to do with its popularity.
func mixedSize(key uint32) uint32 {
	x := uint64(key)*0x9e3779b97f4a7c15 + 1
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	at := uint32((x >> 32) % 100)
	for _, m := range mixedSizes {
		if at < m.percent {
			return m.size
		}
		at -= m.percent
	}
	return mixedSizes[len(mixedSizes)-1].size
}
