//go:build invariants

package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"unsafe"
)

// invariants says whether the checks are built in.
const invariants = true

// check panics unless ok.
func check(ok bool, broken string) {
	if !ok {
		panic("store: invariant broken: " + broken)
	}
}

// interleave lets others in, where what they do must not matter, more often than chance would.
func interleave() {
	if rand.Uint32()%16 == 0 {
		runtime.Gosched()
	}
}

// poisoned is what free memory looks like: to who reads it, a tag and length that make no sense.
const poisoned = 0xdb

func afterHeader(h *header, size uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(h), headerSize)), size-headerSize)
}

// poison overwrites a chunk that is freed, behind its header.
func poison(h *header, size uint32) {
	b := afterHeader(h, size)
	for i := range b {
		b[i] = poisoned
	}
}

// checkPoison panics if somebody has written to the chunk since.
func checkPoison(h *header, size uint32) {
	for i, c := range afterHeader(h, size) {
		if c != poisoned {
			panic(fmt.Sprintf("store: invariant broken: byte %d of a free chunk of %d bytes was changed to %#x", headerSize+i, size, c))
		}
	}
}

// rankedMutex is a mutex that knows who has it.
type rankedMutex struct {
	holder holder
	mu     sync.Mutex
}

func (m *rankedMutex) lock(r rank) {
	h := holderNow(r)
	h.waits()
	m.mu.Lock()
	m.holder = h
}

// tryLock waits for nothing, so that any order is right.
func (m *rankedMutex) tryLock(r rank) bool {
	if !m.mu.TryLock() {
		return false
	}
	m.holder = holderNow(r)
	m.holder.counts(1)
	return true
}

func (m *rankedMutex) unlock() {
	h := m.holder
	m.mu.Unlock()
	h.counts(-1)
}

// holder is the numbers of locks by rank of the goroutine that has a lock, nil if it is not watched this time.
type holder struct {
	held *[ranks]int
	rank rank
}

// watched is one in how many times stripe and class locks are watched: finding out the goroutine's id takes microseconds. A lock
// that was not watched is not counted, which can hide a broken order and never makes one up. The rarer locks are always watched.
const watched = 8

// held are the numbers of locks of each rank that a goroutine has, by its id. An entry is only used by its goroutine.
var held sync.Map // uint64 -> *[ranks]int

func holderNow(r rank) holder {
	if (r == rankStripe || r == rankClass) && rand.Uint32()%watched != 0 {
		return holder{}
	}
	var stack [64]byte
	text := bytes.TrimPrefix(stack[:runtime.Stack(stack[:], false)], []byte("goroutine "))
	text, _, _ = bytes.Cut(text, []byte(" "))
	id, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		panic("store: the runtime's stack trace does not begin with the goroutine's id: " + err.Error())
	}
	mine, ok := held.Load(id)
	if !ok {
		mine, _ = held.LoadOrStore(id, new([ranks]int))
	}
	return holder{mine.(*[ranks]int), r}
}

// waits panics if the goroutine may not wait for a lock of the rank, and counts it as held.
func (h holder) waits() {
	if h.held == nil {
		return
	}
	for other := h.rank; other < ranks; other++ {
		if h.held[other] != 0 {
			panic(fmt.Sprintf("store: invariant broken: waiting for a lock of rank %d while having one of rank %d", h.rank, other))
		}
	}
	h.counts(1)
}

func (h holder) counts(n int) {
	if h.held != nil {
		h.held[h.rank] += n
	}
}
