package evictsim

import (
	"iter"
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/tidwall/btree"

	"ringcached/bench/zipf"
)

// Trace is a kind of requests.
type Trace struct {
	Name, Title string
	Mixed       bool // sizes differ
	Small       bool // servers are asked for many small items of one size, in a larger cache than with other traces

	exponent float64
	draw     func(*draws) uint32 // the key of the next request
}

// draws is what a trace draws keys from.
type draws struct {
	*zipf.Zipf // of ranks, with the trace's exponent
	src        *rand.PCG
	keys       int
	i          int      // requests before this one
	of         []uint32 // of swapping: the key of each rank
	fresh      uint32   // keys that were new so far
	stack      btree.Map[int, uint32]
}

// Traces lists the traces of the study. Of those by Zipf's law the key is the rank, if nothing else is said.
func Traces() []Trace {
	return []Trace{
		{Name: "zipf-0.7", Title: "Zipf 0.7", exponent: 0.7, draw: popular},
		{Name: "zipf-0.99", Title: "Zipf 0.99", exponent: 0.99, draw: popular},
		{Name: "zipf-1.2", Title: "Zipf 1.2", exponent: 1.2, draw: popular},
		{Name: "scan", Title: "Zipf 0.99 with scans", exponent: 0.99, draw: scanning},
		{Name: "swap", Title: "Zipf 0.99, swapping", exponent: 0.99, draw: swapping},
		{Name: "shift", Title: "Zipf 0.99, all shifting", Small: true, exponent: 0.99, draw: allShifting},
		{Name: "disk", Title: "disk blocks, by recency", Small: true, exponent: 1, draw: recent},
		{Name: "newest", Title: "newest most popular", exponent: 0.99, draw: newest},
		{Name: "mixed", Title: "Zipf 0.99, mixed sizes", Mixed: true, exponent: 0.99, draw: popular},
	}
}

// Popular is a trace by Zipf's law with exponent s, Scan one with scans, Shifting one whose keys change in popularity.
func Popular(s float64) Trace  { return Trace{exponent: s, draw: popular} }
func Scan(s float64) Trace     { return Trace{exponent: s, draw: scanning} }
func Shifting(s float64) Trace { return Trace{exponent: s, draw: swapping} }

// Requests yields requests for ever. The same seed gives the same ones.
func (t Trace) Requests(keys int, seed uint64) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		src := rand.NewPCG(seed, 1)
		for d := (&draws{Zipf: zipf.New(src, keys, t.exponent), src: src, keys: keys}); ; d.i++ {
			key := t.draw(d)
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

func popular(d *draws) uint32 { return d.Draw() }

// newKey is a key that was never asked for.
func (d *draws) newKey() uint32 {
	d.fresh++
	return uint32(d.keys) + d.fresh - 1
}

// scanning has between bursts of half as many requests as there are keys a tenth as many keys, one after another, that
// never come again: as many as the cache holds when it holds a tenth of the keys.
func scanning(d *draws) uint32 {
	if d.i%(d.keys/2+d.keys/10) < d.keys/2 {
		return d.Draw()
	}
	return d.newKey()
}

// ShiftAfter is how many requests a shifting trace of a number of keys has from one shift to the next.
func ShiftAfter(keys int) int { return keys / 2 }

// swapping lets a tenth of the keys change their popularity with others each time that ShiftAfter requests have passed.
func swapping(d *draws) uint32 {
	if d.i == 0 {
		for key := range uint32(d.keys) {
			d.of = append(d.of, key)
		}
	} else if d.i%ShiftAfter(d.keys) == 0 {
		below := func() int {
			hi, _ := bits.Mul64(d.src.Uint64(), uint64(d.keys))
			return int(hi)
		}
		for range d.keys / 20 { // two keys each
			a, b := below(), below()
			d.of[a], d.of[b] = d.of[b], d.of[a]
		}
	}
	return d.of[d.Draw()]
}

// allShifting moves the popularity of all keys at once each time that ShiftAfter requests have passed: each takes the
// rank an eighth of the keys further on, so the most popular ones go to the far end of the tail or come from it.
func allShifting(d *draws) uint32 {
	return uint32((int(d.Draw()) + d.i/ShiftAfter(d.keys)*(d.keys/8)) % d.keys)
}

// newest draws the age of the key, and every tenth request comes after a new key has begun: what was hot cools down.
func newest(d *draws) uint32 { return uint32(d.keys+(d.i+1)/10) - d.Draw() }

// recent is the LRU stack model: keys stand on a stack, what was asked for last on top. A request asks for the key at a
// depth that is drawn, whichever that is, and moves it to the top; one in recentFresh asks for a new key, and the
// lowest one falls off. So a key's popularity is only how lately it was used, and strict LRU hits the most that is
// possible. At the start the stack is full, in the order of the keys.
func recent(d *draws) uint32 {
	if d.i == 0 {
		for i := range d.keys {
			d.stack.Load(i, uint32(d.keys-1-i)) // by the time of the last use
		}
	}
	var key uint32
	if d.src.Uint64() < math.MaxUint64/recentFresh {
		key = d.newKey()
		d.stack.PopMin()
	} else {
		_, key, _ = d.stack.DeleteAt(d.keys - 1 - int(d.Draw()))
	}
	d.stack.Set(d.keys+d.i, key)
	return key
}

// recentFresh: one request in that many is for a new key.
const recentFresh = 50

// mixedSizes are the sizes of the items of a mixed trace in bytes, with how many in a hundred have them.
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
