package store

import (
	"bytes"
	"fmt"
	"testing"
)

// TestUnfinishedValuesLeaveEveryClassRoom: values on their way hold half of a store of few pages, in classes of all sizes, and values of every
// size can still be stored, again and again, although no page is kept for each class: they share what others have.
func TestUnfinishedValuesLeaveEveryClassRoom(t *testing.T) {
	const limit = 16 << 20
	s := open(t, Config{Limit: limit, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
	value := bytes.Repeat([]byte("v"), 1<<20)
	for i := range 200_000 { // a full store, of small items
		it, err := s.Alloc(fmt.Appendf(nil, "old%d", i), 0, 0, 40)
		if err != nil {
			t.Fatal(err)
		}
		(&upload{s: s, it: it}).link()
	}
	var sizes []int
	for i := range s.classes[1:] {
		sizes = append(sizes, int(s.classes[i+1].size)-headerSize-40)
	}
	sizes = append(sizes, 900_000)
	var held []*upload
	for bytes, round := 0, 0; bytes < limit/2; round++ {
		for _, n := range sizes {
			if n <= 0 || bytes >= limit/2 {
				continue
			}
			u := beginUpload(t, s, fmt.Sprintf("held%d-%d", round, n), n, n)
			if err := u.take(value[:n-1]); err != nil {
				t.Fatalf("%d bytes held, a value of %d: %v", bytes, n, err)
			}
			held = append(held, u)
			bytes += s.Footprint(u.it)
		}
	}
	for round := range 20 {
		for _, n := range sizes {
			if n <= 0 {
				continue
			}
			u := beginUpload(t, s, fmt.Sprintf("new%d-%d", round, n), n, n)
			if err := u.take(append(bytes.Clone(value[:n]), "\r\n"...)); err != nil {
				t.Fatalf("round %d, a value of %d bytes: %v", round, n, err)
			}
			u.link()
		}
	}
	for _, u := range held {
		s.Release(u.it)
	}
}
