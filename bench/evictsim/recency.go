package evictsim

import (
	"math/bits"
	"math/rand/v2"

	"ringcached/bench/zipf"
)

// What the disk trace is made of: see recent.
const (
	diskReuse = 1.0  // exponent of the reuse distances
	diskFresh = 0.02 // part of the requests that are for a key that is new
)

// recent draws by the LRU stack model (Mattson and others, 1970; as a generator of storage traces: Almeida and others, "Characterizing reference
// locality in the WWW", 1996). Keys stand on a stack, what was asked for last on top. A request asks for the key at a depth that is drawn by
// Zipf's law with exponent s, whoever that is, and moves it to the top; a part of the requests, fresh, asks for a new key, and the lowest one
// falls off. So a key's popularity is only how lately it was used, and strict LRU hits the most that is possible: its hit ratio with room for c of
// n keys is (1-fresh) times the law's weight up to rank c. Traces of disks below a page cache, such as w106 of CloudPhysics, are near to that.
//
// At the start the stack is full, in the order of the keys.
func recent(s, fresh float64) func(int, *rand.PCG) func() uint32 {
	return func(keys int, src *rand.PCG) func() uint32 {
		z := zipf.New(src, keys, s)
		stack := newStack(keys)
		isFresh := uint64(fresh * (1 << 53))
		next := uint32(keys)
		return func() uint32 {
			if src.Uint64()>>11 < isFresh {
				stack.take(keys - 1)
				stack.push(next)
				next++
				return next - 1
			}
			key := stack.take(int(z.Draw()))
			stack.push(key)
			return key
		}
	}
}

// stack is an order of keys of which any can be taken out by its depth, in logarithmic time: a row of places, filled from the left to the right,
// the top being the rightmost key, with a Fenwick tree that counts the keys in each part of the row.
type stack struct {
	keys  []uint32
	there []bool
	count []int32 // Fenwick tree over the places, from 1
	end   int     // places that were filled
	len   int
}

// newStack makes a stack of the keys 0 to n-1, 0 on top.
func newStack(n int) *stack {
	size := 1 << bits.Len(uint(2*n)) // places for at least n pushes until the row has to be packed
	s := &stack{keys: make([]uint32, size), there: make([]bool, size), count: make([]int32, size+1)}
	for i := range n {
		s.keys[i] = uint32(n - 1 - i)
	}
	s.pack(n)
	return s
}

// pack says that the first n places are filled and no others.
func (s *stack) pack(n int) {
	s.end, s.len = n, n
	for i := range s.there {
		s.there[i] = i < n
	}
	for i := 1; i < len(s.count); i++ {
		s.count[i] = int32(min(n, i) - min(n, i-i&-i))
	}
}

// push puts a key on top.
func (s *stack) push(key uint32) {
	if s.end == len(s.keys) {
		n := 0
		for i, k := range s.keys {
			if s.there[i] {
				s.keys[n] = k
				n++
			}
		}
		s.pack(n)
	}
	s.keys[s.end], s.there[s.end] = key, true
	s.end++
	s.len++
	s.add(s.end, 1)
}

// take removes the key that has depth others above it.
func (s *stack) take(depth int) uint32 {
	below := int32(s.len - depth - 1) // keys to the left of it
	at := 0
	for step := len(s.keys); step > 0; step /= 2 {
		if at+step <= len(s.keys) && s.count[at+step] <= below {
			at += step
			below -= s.count[at]
		}
	}
	s.there[at] = false
	s.len--
	s.add(at+1, -1)
	return s.keys[at]
}

func (s *stack) add(i int, n int32) {
	for ; i < len(s.count); i += i & -i {
		s.count[i] += n
	}
}
