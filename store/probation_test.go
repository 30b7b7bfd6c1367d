package store

import (
	"fmt"
	"strings"
	"testing"
)

// trial is a full store whose items are all of one class.
type trial struct {
	*Store
	c     *class
	value string
}

// fullOfOne fills a store with items of one class, until the next evicts.
func fullOfOne(t *testing.T, config Config) trial {
	s := open(t, config)
	value := strings.Repeat("v", 1000)
	f := trial{s, s.classFor(headerSize + len("old0000") + len(" 0 1000\r\n") + len(value) + 2), value}
	for i := 0; s.pool.available() || f.c.partial != 0; i++ {
		f.set(t, fmt.Sprintf("old%04d", i))
	}
	if n := s.Stats(); n.Evictions != 0 || int(f.c.probation.length) > int(f.c.perPage) {
		t.Fatalf("%d evictions, %d items on probation, more than are in the last page", n.Evictions, f.c.probation.length)
	}
	return f
}

func (f trial) set(t *testing.T, key string) {
	t.Helper()
	mustSet(t, f.Store, key, f.value)
}

// has looks without using the item.
func (f trial) has(key string) bool {
	e := f.Lock([]byte(key), f.Hash([]byte(key)))
	defer e.Unlock()
	return e.Item().Valid()
}

// trialLength is how many items are stored after one before its probation ends: a tenth, but
// the queue is longer at first: what the last page holds was stored when there was no other any more.
func (f trial) trialLength() int {
	return max(int(f.c.items)/probationShare, int(f.c.probation.length))
}

// TestProbation: a new item that is not used for as long as it takes to store a tenth of the class goes before all others, one that is used stays.
func TestProbation(t *testing.T) {
	f := fullOfOne(t, small)
	all, length := int(f.c.items), f.trialLength()
	f.set(t, "unused")
	f.set(t, "used")
	wantValue(t, f.Store, "used", f.value)
	for i := range length - 2 {
		f.set(t, fmt.Sprint("next", i))
	}
	if !f.has("unused") {
		t.Fatal("evicted before its probation was over")
	}
	for i := range 4 {
		f.set(t, fmt.Sprint("last", i))
	}
	if f.has("unused") || !f.has("used") {
		t.Fatalf("after the probation: unused there %v, used there %v", f.has("unused"), f.has("used"))
	}
	// A scan over many times the class evicts what is scanned.
	old := func() (n int) {
		for i := range all {
			if f.has(fmt.Sprintf("old%04d", i)) {
				n++
			}
		}
		return n
	}
	before := old()
	for i := range 5 * all {
		f.set(t, fmt.Sprint("scan", i))
	}
	if after := old(); before != after || before < all*8/10 {
		t.Errorf("of %d old items, %d were left after their places had been taken, %d after a scan", all, before, after)
	}
}

// TestProbationEndsForKnown: a key that was evicted from probation is settled when it comes back soon, and one that is stored again while it is there.
func TestProbationEndsForKnown(t *testing.T) {
	f := fullOfOne(t, small)
	f.set(t, "again")
	f.set(t, "twice")
	f.set(t, "twice")
	for i := range f.trialLength() + 3 {
		f.set(t, fmt.Sprint("next", i))
	}
	if f.has("again") || !f.has("twice") {
		t.Fatalf("stored once there %v, twice there %v", f.has("again"), f.has("twice"))
	}
	f.set(t, "again")
	for i := range 3 * f.trialLength() {
		f.set(t, fmt.Sprint("scan", i))
	}
	if !f.has("again") {
		t.Error("evicted a second time without having been used")
	}
}

// TestOverwriteKeepsRecency: an item that takes the place of one in use is in use.
func TestOverwriteKeepsRecency(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "key", "v")
	for range 2 {
		get(s, "key")
	}
	mustSet(t, s, "key", "w")
	alter(t, s, "key", func(e *Entry) {
		if got := e.h.state.Load() & recencyMax; got != 2*recencyOne || e.Item().Fetched() {
			t.Errorf("count %d, fetched %v", got/recencyOne, e.Item().Fetched())
		}
	})
}

// TestProbationOfFew: a class of few items goes without.
func TestProbationOfFew(t *testing.T) {
	s := open(t, small)
	flood(t, s, "key", 3*(8<<20)/100_000, 100_000)
	for i := range s.classes {
		if c := &s.classes[i]; c.probation.length != 0 {
			t.Errorf("class of %d items has %d on probation", c.items, c.probation.length)
		}
	}
}

// TestProbationFillsUp: while memory is freed by others than eviction, the queue does not grow beyond its share.
func TestProbationFillsUp(t *testing.T) {
	f := fullOfOne(t, small)
	all := int(f.c.items)
	for i := range all / 2 {
		remove(f.Store, fmt.Sprintf("old%04d", i))
	}
	for i := range all / 2 {
		f.set(t, fmt.Sprint("new", i))
	}
	if n := f.Stats(); n.Evictions != 0 {
		t.Fatalf("%d evictions", n.Evictions)
	}
	if n := int(f.c.probation.length); n == 0 || n > all/probationMost {
		t.Errorf("%d of %d items on probation", n, all)
	}
}

// TestProbationForgetsPages: links to chunks of a page that went elsewhere come to nothing.
func TestProbationForgetsPages(t *testing.T) {
	f := fullOfOne(t, small)
	for i := range f.trialLength() {
		f.set(t, fmt.Sprint("new", i))
	}
	// Pages go to items of other sizes and come back.
	for range 3 {
		flood(t, f.Store, "large", 60, 300_000)
		flood(t, f.Store, "middle", 600, 10_000)
		flood(t, f.Store, "small", 10_000, 1000)
	}
	if f.moves.pages.Load() == 0 {
		t.Error("no page moved")
	}
}

// TestRestoreProbation: probation goes on after a restart.
func TestRestoreProbation(t *testing.T) {
	f := fullOfOne(t, small)
	length := f.trialLength()
	c := inFile(t)
	s := begun(t, c)
	defer func() { s.Close() }()
	for i := 0; s.pool.available() || s.classes[f.c.id].partial != 0; i++ {
		mustSet(t, s, fmt.Sprintf("old%04d", i), f.value)
	}
	mustSet(t, s, "unused", f.value)
	for i := range length - 2 {
		mustSet(t, s, fmt.Sprint("next", i), f.value)
	}
	queue := s.classes[f.c.id].probation
	s = reopened(t, s)
	if got := s.classes[f.c.id].probation; got != queue || got.length == 0 {
		t.Errorf("the queue was %+v, is %+v", queue, got)
	}
	f.Store = s
	for i := range 4 {
		mustSet(t, s, fmt.Sprint("last", i), f.value)
	}
	if f.has("unused") || !f.has("next3") {
		t.Errorf("unused there %v, one that came later there %v", f.has("unused"), f.has("next3"))
	}
	audit(t, s)
}

func TestLinkQueue(t *testing.T) {
	s := open(t, small)
	p := &s.linkBlocks
	var a, b linkQueue
	in, out := uint32(0), uint32(0)
	for round := range uint32(20) {
		for range 700 + 100*(round%5) {
			in++
			if !a.push(p, in) || !b.push(p, ^in) {
				t.Fatalf("no block for %d links", a.length)
			}
		}
		for range 750 {
			out++
			if link, ok := a.pop(p); !ok || link != out {
				t.Fatalf("link %d, %v, want %d", link, ok, out)
			}
			if link, ok := b.pop(p); !ok || link != ^out {
				t.Fatalf("link %d, %v, want %d", link, ok, ^out)
			}
			if out == in {
				break
			}
		}
		if a.length != in-out {
			t.Fatalf("length %d, want %d", a.length, in-out)
		}
	}
	for a.length > 0 {
		a.pop(p)
		b.pop(p)
	}
	if _, ok := a.pop(p); ok {
		t.Error("a link out of an empty queue")
	}
	// All blocks are free again, and there is an end to them.
	blocks := p.size - 1
	n := 0
	for a.push(p, 1) {
		n++
	}
	if n != int(blocks)*(blockLinks-1) {
		t.Errorf("room for %d links in %d blocks", n, blocks)
	}
	for a.length > 0 {
		a.pop(p)
	}
}

func TestGhosts(t *testing.T) {
	s := open(t, small)
	const bucket = 0x5a // bits that choose stripe and bucket
	hash := func(n uint64) uint64 { return n<<40 | bucket }
	st := s.stripeOf(bucket)
	for n := range uint64(6) {
		s.addGhost(st, hash(n+1))
	}
	for n, want := range []bool{1: false, 2: false, 3: true, 4: true, 5: true, 6: true, 7: false} {
		if n > 0 && s.takeGhost(st, hash(uint64(n))) != want {
			t.Errorf("hash %d remembered: %v", n, !want)
		}
	}
	if s.takeGhost(st, hash(4)) {
		t.Error("remembered twice")
	}
	s.addGhost(st, hash(0)) // 0 stands for none
	if !s.takeGhost(st, hash(0)) || s.takeGhost(st, hash(0)) {
		t.Error("hash with zeros")
	}
	s.addGhost(st, hash(8))
	if other := uint64(bucket + 1<<s.stripeBits + 1); s.takeGhost(s.stripeOf(other), hash(8)&^0xffff|other) {
		t.Error("remembered in another stripe")
	}
}

// TestProbationInKeptPage: a probation that ends while the item's page is being emptied has ended, also if the page stays.
func TestProbationInKeptPage(t *testing.T) {
	f := fullOfOne(t, small)
	length := f.trialLength()
	f.set(t, "pinned")
	e := f.Lock([]byte("pinned"), f.Hash([]byte("pinned")))
	it := e.Item()
	e.Unlock()
	place := f.pages[f.pageOf(it.h)].position
	n := uint32(len(f.c.pages))
	f.move.mu.lock(rankMove)
	begun := f.startMove(f.c, (place+n-f.c.hand.page%n)%n, nil, true) // an unclaimed page: only Maintain goes on with it
	f.move.mu.unlock()
	if !begun {
		t.Fatal("the page is not emptied")
	}
	f.Retain(it)
	for i := range length + 4 {
		f.set(t, fmt.Sprint("next", i))
	}
	settle(t, f.Store)
	f.Release(it)
	if !f.has("pinned") || f.moves.pages.Load() != 0 {
		t.Fatalf("item there %v, %d pages moved", f.has("pinned"), f.moves.pages.Load())
	}
	if it.h.state.Load()&stateProbation != 0 {
		t.Error("still on probation")
	}
}
