package store

import "testing"

// evictKeys notes the eviction of n keys, from the number first on.
func evictKeys(c *class, first, n uint64) {
	for i := range n {
		c.shadow.noteEviction(c, hashOf(first+i))
	}
}

// hashOf spreads a number over 64 bits.
func hashOf(n uint64) uint64 { return (n + 1) * 0x9e3779b97f4a7c15 }

// TestShadowIsAPageDeep: what comes back counts if fewer items than fit into a page were evicted after it.
func TestShadowIsAPageDeep(t *testing.T) {
	c := &class{perPage: 100}
	for _, test := range []struct {
		after uint64
		want  uint32
	}{{0, 1}, {50, 1}, {99, 1}, {101, 0}, {300, 0}} {
		c.shadow = shadow{}
		evictKeys(c, 0, 1)
		c.shadow.clock.Add(uint32(test.after))
		for range 2 { // it comes back once
			c.shadow.noteReturn(c, hashOf(0))
		}
		c.shadow.noteReturn(c, hashOf(1000)) // was never there
		if got := c.shadow.returned.Load(); got != test.want {
			t.Errorf("after %d evictions more %d items came back, want %d", test.after, got, test.want)
		}
	}
}

// TestShadowSamples: of a class with many chunks to a page a part of the keys stands for all.
func TestShadowSamples(t *testing.T) {
	const page = 8192
	c := &class{perPage: page, shadowShift: shadowShift(page)}
	evictKeys(c, 0, 2*page)
	for i := range uint64(2 * page) {
		c.shadow.noteReturn(c, hashOf(i))
	}
	if got := c.shadow.returned.Load(); got < page*3/4 || got > page*5/4 {
		t.Errorf("%d items came back, want about %d of %d", got, page, 2*page)
	}
	before := c.shadow.returned.Load()
	c.shadow.halveReturns()
	if got := c.shadow.returned.Load(); got != before/2 {
		t.Errorf("half of %d is %d", before, got)
	}
}
