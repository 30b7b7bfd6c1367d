package evictsim

import (
	"iter"
	"math/bits"
	"math/rand/v2"

	"github.com/tidwall/btree"

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
	all := []Trace{Popular(0.7), Popular(0.99), Popular(1.2), Scan(0.99), Shifting(0.99), allShifting(0.99), recent(1, 0.02), newestFirst(), Popular(0.99)}
	for i, name := range [...][2]string{
		{"zipf-0.7", "Zipf 0.7"}, {"zipf-0.99", "Zipf 0.99"}, {"zipf-1.2", "Zipf 1.2"}, {"scan", "Zipf 0.99 with scans"}, {"swap", "Zipf 0.99, swapping"},
		{"shift", "Zipf 0.99, all shifting"}, {"disk", "disk blocks, by recency"}, {"newest", "newest most popular"}, {"mixed", "Zipf 0.99, mixed sizes"},
	} {
		all[i].Name, all[i].Title, all[i].Mixed = name[0], name[1], name[0] == "mixed"
		if name[0] == "shift" || name[0] == "disk" {
			all[i].ItemSize, all[i].KeysPerMB, all[i].Memory = 500, 12_500, 2
		}
	}
	return all
}

// Requests yields requests for ever. The same seed gives the same ones.
func (t Trace) Requests(keys int, seed uint64) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		next := t.next(keys, rand.NewPCG(seed, 1))
		for {
			key := next()
			if !yield(Request{key, t.size(key)}) {
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
		sum += int64(t.size(key))
	}
	return sum
}

// Popular draws by Zipf's law with exponent s: the key is the rank.
func Popular(s float64) Trace {
	return Trace{next: func(keys int, src *rand.PCG) func() uint32 { return zipf.New(src, keys, s).Draw }}
}

// Scan draws by Zipf's law, and between bursts of half as many requests as there are keys a tenth as many keys come one after another that never
// come again: as many as the cache holds when it holds a tenth of the keys.
func Scan(s float64) Trace {
	return Trace{next: func(keys int, src *rand.PCG) func() uint32 {
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
	}}
}

// ShiftAfter is how many requests a shifting trace of a number of keys has from one shift to the next.
func ShiftAfter(keys int) int { return keys / 2 }

// Shifting draws by Zipf's law, and each time that ShiftAfter requests have passed, a tenth of the keys change their popularity with others.
func Shifting(s float64) Trace {
	return Trace{next: func(keys int, src *rand.PCG) func() uint32 {
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
	}}
}

// allShifting draws by Zipf's law, and each time that ShiftAfter requests have passed, the popularity of all keys moves at once: each takes the rank
// an eighth of the keys further on, so the most popular ones go to the far end of the tail or come from it.
func allShifting(s float64) Trace {
	return Trace{next: func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, s)
		i, shift := 0, 0
		return func() uint32 {
			if i++; i > ShiftAfter(keys) {
				i, shift = 1, (shift+keys/8)%keys
			}
			return uint32((int(z.Draw()) + shift) % keys)
		}
	}}
}

// newestFirst draws the age of the key by Zipf's law, and every tenth request comes after a new key has begun: what was hot cools down for good.
func newestFirst() Trace {
	return Trace{next: func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, 0.99)
		newest, i := uint32(keys), 0
		return func() uint32 {
			if i++; i == 10 {
				i = 0
				newest++
			}
			return newest - z.Draw()
		}
	}}
}

// recent draws by the LRU stack model: keys stand on a stack, what was asked for last on top. A request asks for the key at a depth that is drawn by
// Zipf's law with exponent s, whichever that is, and moves it to the top; a part of the requests, fresh, asks for a new key, and the lowest one falls
// off. So a key's popularity is only how lately it was used, and strict LRU hits the most that is possible: with room for c keys, (1-fresh) times
// the law's weight up to rank c. At the start the stack is full, in the order of the keys.
func recent(s, fresh float64) Trace {
	return Trace{next: func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, s)
		var stack btree.Map[uint64, uint32] // by the time of the last use
		for i := range keys {
			stack.Load(uint64(i), uint32(keys-1-i))
		}
		now, next := uint64(keys), uint32(keys)
		return func() uint32 {
			depth, isFresh := keys-1, src.Uint64()>>11 < uint64(fresh*(1<<53))
			if !isFresh {
				depth = int(z.Draw())
			}
			_, key, _ := stack.DeleteAt(keys - 1 - depth)
			if isFresh {
				key = next
				next++
			}
			stack.Set(now, key)
			now++
			return key
		}
	}}
}

// mixedSizes are the sizes of the items of a mixed trace in bytes, with how many in a hundred have them: many small ones, few that are large.
var mixedSizes = []struct{ percent, size uint32 }{{45, 120}, {25, 250}, {15, 600}, {10, 1500}, {5, 6000}}

// size is that of a key's item, which has nothing to do with its popularity; 1 where sizes do not differ.
func (t Trace) size(key uint32) uint32 {
	if !t.Mixed {
		return 1
	}
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
	panic("the sizes are more than all")
}
