package store

import (
	"bytes"
	"testing"
	"unsafe"
)

// bytesOf copies the memory of v as it is.
func bytesOf[T any](v *T) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)))
}

// sharedMemory is what cores share and a hit of an item in the first page could write, but for the lock of the stripe.
type sharedMemory struct{ page, bucket, stripe, class, pool []byte }

func readShared(s *Store, h *header, hash uint64) sharedMemory {
	st := s.stripeOf(hash)
	return sharedMemory{
		page:   bytes.Clone(unsafe.Slice((*byte)(s.base), PageSize)),
		bucket: bytesOf(s.bucket(st, st.bucketNumber(uint32(hash>>s.stripeBits)))),
		stripe: bytesOf(st)[unsafe.Sizeof(st.mu):],
		class:  bytesOf(&s.classes[h.class()]),
		pool:   bytesOf(&s.pool),
	}
}

// TestHitWrites: a hit within accessStep changes at most one byte of its item and leaves all else as it was but for the lock, and when the count of
// uses is full it changes nothing, whether it takes the lock or not.
func TestHitWrites(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "before", "value")
	mustSet(t, s, "k", "value")
	mustSet(t, s, "behind", "value")
	s.SetNow(firstSecond + accessStep - 1)
	key, hash := []byte("k"), s.Hash([]byte("k"))
	e := s.Lock(key, hash)
	h := e.h
	e.Unlock()
	start := int(uintptr(unsafe.Pointer(h)) - uintptr(s.base))

	markUsed := func() {
		e := s.Lock(key, hash)
		e.MarkUsed()
		e.Unlock()
	}
	var v View
	tryGetOrLock := func() { hit(s, key, &v) }
	const full = recencyMax / recencyOne
	for i, use := range []func(){markUsed, tryGetOrLock, markUsed, markUsed, tryGetOrLock, markUsed} {
		before := readShared(s, h, hash)
		use()
		after := readShared(s, h, hash)
		changed := 0
		for at := range before.page {
			if before.page[at] == after.page[at] {
				continue
			}
			changed++
			if at < start || at >= start+headerSize {
				t.Errorf("hit %d: byte %d of the page changed, the item is at %d", i+1, at, start)
			}
		}
		if i < full && changed != 1 || i >= full && changed != 0 {
			t.Errorf("hit %d: %d bytes of the page changed; the count is full after %d", i+1, changed, full)
		}
		for _, part := range []struct {
			what          string
			before, after []byte
		}{
			{"bucket", before.bucket, after.bucket}, {"stripe", before.stripe, after.stripe},
			{"class", before.class, after.class}, {"pool", before.pool, after.pool},
		} {
			if !bytes.Equal(part.before, part.after) {
				t.Errorf("hit %d: the %s changed", i+1, part.what)
			}
		}
	}
	if h.state.Load()&(recencyMax|stateFetched) != recencyMax|stateFetched {
		t.Error("the hits were not counted")
	}
}
