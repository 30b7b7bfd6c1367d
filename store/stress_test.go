package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// The stress test does all operations from many goroutines in a store that is far too small. Contents carry a checksum. Every key
// has one writer, which counts up a version in the item's flags: it must find its last version or nothing, and nobody may see
// versions or CAS numbers of a key go back. Some items are held on to, as slow sends do, and are looked at again before they are
// released.

const (
	stressWorkers = 6
	stressKeys    = 4000 // per worker
	stressHeld    = 24   // items that a worker holds at most
)

type stressWorker struct {
	s       *Store
	number  int
	random  *rand.Rand
	version [stressKeys]uint32                 // of the worker's own keys, 0 if it deleted them
	seen    map[string]struct{ v, cas uint64 } // of all keys
	held    []Item
	holds   int
	view    View
	near    Approach
	text    []byte // what was read through it
	gets    [Hit + 1]int
	noMem   int
	sizes   func(*rand.Rand) int
}

func (w *stressWorker) fail(format string, args ...any) {
	panic(fmt.Sprintf("worker %d: ", w.number) + fmt.Sprintf(format, args...))
}

func stressKey(worker, i int) []byte { return fmt.Appendf(nil, "key %d of worker %d", i, worker) }

// look checks the entry's item against what the worker knows.
func (w *stressWorker) look(e *Entry, key []byte, worker, i int) bool {
	if !e.Item().Valid() {
		return false
	}
	w.lookAt(e.Item(), key, worker, i)
	return true
}

// lookAt checks the item of a key against what the worker knows.
func (w *stressWorker) lookAt(it Item, key []byte, worker, i int) {
	if string(it.Key()) != string(key) {
		w.fail("%q found under %q", it.Key(), key)
	}
	if off := broken(w.s, it); off >= 0 {
		w.fail("%q of %d bytes is broken at %d", key, it.Len(), off)
	}
	w.lookAtVersion(it.Flags(), it.CAS(), key, worker, i)
}

// lookAtVersion checks flags and CAS of an item.
func (w *stressWorker) lookAtVersion(version uint32, cas uint64, key []byte, worker, i int) {
	if worker == w.number && version != w.version[i] {
		w.fail("%q has version %d, not %d", key, version, w.version[i])
	}
	last := w.seen[string(key)]
	if uint64(version) < last.v || cas < last.cas {
		w.fail("%q went back from version %d, CAS %d to %d, %d", key, last.v, last.cas, version, cas)
	}
	w.seen[string(key)] = struct{ v, cas uint64 }{uint64(version), cas}
}

// tryRead reads somebody's key without the lock, as proto does.
func (w *stressWorker) tryRead(key []byte, worker, i int) Outcome {
	v := &w.view
	saw := w.s.TryGet(key, w.s.Hash(key), &w.near, v)
	if saw != Hit {
		return saw
	}
	w.text = append(w.text[:0], v.Text()...)
	n, flags, cas := v.Len(), v.Flags(), v.CAS()
	if !v.Unchanged() {
		return Retry
	}
	if want := fmt.Sprintf("%s %d %d\r\n%s\r\n", key, flags, n, sealed(string(key), n)); string(w.text) != want {
		w.fail("%q is not what it was: %q", key, w.text)
	}
	w.lookAtVersion(flags, cas, key, worker, i)
	return Hit
}

// made fills a new item, or counts that there is none.
func (w *stressWorker) made(it Item, err error) bool {
	if err != nil {
		if !errors.Is(err, ErrNoMemory) {
			w.fail("%v", err)
		}
		w.noMem++
		return false
	}
	fill(w.s, it, sealed(string(it.Key()), it.Len()))
	return true
}

func (w *stressWorker) write(i int) {
	key, n := stressKey(w.number, i), w.sizes(w.random)
	version := w.seenVersion(key) + 1
	it, err := w.s.Alloc(key, version, 0, n)
	if !w.made(it, err) {
		return
	}
	if w.random.IntN(20) == 0 {
		w.s.Release(it) // the client went away
		return
	}
	e := w.s.Lock(key, w.s.Hash(key))
	w.look(&e, key, w.number, i)
	e.Link(it)
	w.version[i] = version
	w.look(&e, key, w.number, i)
	e.Unlock()
}

// seenVersion is the highest version of an own key that there has ever been.
func (w *stressWorker) seenVersion(key []byte) uint32 { return uint32(w.seen[string(key)].v) }

// grow replaces an item by a larger one while its entry is locked.
func (w *stressWorker) grow(i int) {
	key := stressKey(w.number, i)
	e := w.s.Lock(key, w.s.Hash(key))
	defer e.Unlock()
	if !w.look(&e, key, w.number, i) {
		return
	}
	old := e.Item()
	version := w.version[i] + 1
	it, err := e.Alloc(key, version, 0, old.Len()+w.random.IntN(100))
	if e.Item() != old || !w.look(&e, key, w.number, i) {
		w.fail("%q was evicted under its lock", key)
	}
	if w.made(it, err) {
		e.Link(it)
		w.version[i] = version
		w.look(&e, key, w.number, i)
	}
}

// rewrite changes an own item in place, if nobody sends it: in between it is broken.
func (w *stressWorker) rewrite(i int) {
	key := stressKey(w.number, i)
	e := w.s.Lock(key, w.s.Hash(key))
	defer e.Unlock()
	if it := e.Item(); w.look(&e, key, w.number, i) && e.Exclusive() {
		fill(w.s, it, make([]byte, it.Len()))
		runtime.Gosched()
		fill(w.s, it, sealed(string(key), it.Len()))
		e.NewCAS()
		w.look(&e, key, w.number, i)
	}
}

func (w *stressWorker) erase(i int) {
	key := stressKey(w.number, i)
	e := w.s.Lock(key, w.s.Hash(key))
	defer e.Unlock()
	if w.look(&e, key, w.number, i) {
		if w.random.IntN(2) == 0 {
			e.Unlink()
		} else {
			e.SetExptime(1)
		}
	}
}

// approach fetches what is read of a key, and others may change it meanwhile.
func (w *stressWorker) approach(hash uint64) {
	w.s.Approach(&w.near, hash)
	for range w.random.IntN(4) {
		w.near.Step(w.s)
	}
}

// read looks at anybody's key, and may hold on to the item.
func (w *stressWorker) read() {
	worker, i := w.random.IntN(stressWorkers), w.random.IntN(w.random.IntN(stressKeys)+1)
	if w.random.IntN(2) == 0 {
		i %= 10 // some are hot
	}
	key := stressKey(worker, i)
	if w.approach(w.random.Uint64()); w.random.IntN(2) == 0 {
		w.approach(w.s.Hash(key)) // what it sees, of this key or of none, must not matter
	}
	saw := w.tryRead(key, worker, i)
	if w.gets[saw]++; saw != Retry {
		return
	}
	e := w.s.Lock(key, w.s.Hash(key))
	found := w.look(&e, key, worker, i)
	if found {
		e.MarkUsed()
		if w.random.IntN(8) == 0 {
			w.s.Retain(e.Item())
			w.held = append(w.held, w.s.ItemOf(e.Item().Ref()))
			w.holds++
		}
	}
	e.Unlock()
	if len(w.held) > 0 && w.random.IntN(stressHeld) < len(w.held)/2 {
		w.release()
	}
}

// release checks an item that was held, and releases it.
func (w *stressWorker) release() {
	k := w.random.IntN(len(w.held))
	it := w.held[k]
	if off := broken(w.s, it); off >= 0 {
		w.fail("%q of %d bytes was broken at %d while it was held", it.Key(), it.Len(), off)
	}
	w.s.Release(it)
	w.held[k] = w.held[len(w.held)-1]
	w.held = w.held[:len(w.held)-1]
}

func (w *stressWorker) run(rounds int) {
	for range rounds {
		i := w.random.IntN(stressKeys)
		switch n := w.random.IntN(1000); {
		case n < 300:
			w.write(i)
		case n < 330:
			w.grow(i)
		case n < 350:
			w.rewrite(i)
		case n < 380:
			w.erase(i)
		case n < 381:
			w.s.Stats()
			w.s.Classes()
		case n < 383 && w.number == 0:
			w.s.SetNow(w.s.Now() + 1)
		case n < 384 && w.number == 1 && w.random.IntN(20) == 0:
			w.s.FlushAll(w.s.Now() * uint32(w.random.IntN(2)))
		default:
			w.read()
		}
	}
	for len(w.held) > 0 {
		w.release()
	}
}

// stress runs the workers to their end. The sizes decide how many classes and chains there are.
func stress(t *testing.T, limit int64, rounds int, sizes func(*rand.Rand) int) (failed int) {
	t.Helper()
	s := open(t, Config{Limit: limit, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
	if invariants {
		rounds /= 4
	}
	workers := make([]*stressWorker, stressWorkers)
	var all sync.WaitGroup
	for i := range workers {
		workers[i] = &stressWorker{
			s: s, number: i, random: rand.New(rand.NewPCG(uint64(i), 99)), sizes: sizes,
			seen: map[string]struct{ v, cas uint64 }{},
		}
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			workers[i].run(rounds)
		})
	}
	all.Wait()
	holds := 0
	var gets [Hit + 1]int
	for _, w := range workers {
		for i, n := range w.gets {
			gets[i] += n
		}
		failed += w.noMem
		holds += w.holds
	}
	n := s.Stats()
	t.Logf("%d sets, %d holds, %d evictions, %d reclaimed, %d pages moved, %d passed by, %d times out of memory",
		n.TotalItems, holds, n.Evictions, n.Reclaimed, n.PagesMoved, n.PinnedSkips, n.OutOfMemory)
	t.Logf("%d gets, of which %d found nothing and %d could not tell", gets[Hit], gets[Miss], gets[Retry])
	if canTryGet && (gets[Hit] == 0 || gets[Miss] == 0 || gets[Retry] == 0) {
		t.Errorf("not every outcome of TryGet was seen: %d", gets)
	}
	audit(t, s)
	for i := range stressWorkers {
		for j := range stressKeys {
			remove(s, string(stressKey(i, j)))
		}
	}
	unused(t, s)
	return failed
}

func TestStressSmall(t *testing.T) {
	failed := stress(t, 4<<20, 100_000, func(r *rand.Rand) int { return r.IntN(500) })
	if failed != 0 {
		t.Errorf("%d times out of memory", failed)
	}
}

// TestStressMixed has items of all sizes, so that pages move all the time, and chains are evicted by their parts.
func TestStressMixed(t *testing.T) {
	stress(t, 24<<20, 20_000, func(r *rand.Rand) int {
		switch r.IntN(300) {
		case 0:
			return r.IntN(1_000_000)
		case 1, 2, 3, 4, 5, 6:
			return r.IntN(100_000)
		}
		return r.IntN(3000)
	})
}

// TestStressRoomy never evicts: growth of the index, and pages that come and go.
func TestStressRoomy(t *testing.T) {
	if failed := stress(t, 256<<20, 50_000, func(r *rand.Rand) int { return r.IntN(2000) }); failed != 0 {
		t.Errorf("%d times out of memory", failed)
	}
}
