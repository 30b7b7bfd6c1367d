package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// upload is a value that comes in pieces.
type upload struct {
	s   *Store
	it  Item
	off int // bytes of it and its "\r\n" that came
}

func beginUpload(t testing.TB, s *Store, key string, n, came int) *upload {
	t.Helper()
	it, err := s.Begin([]byte(key), 7, 0, n, came)
	if err != nil {
		t.Fatalf("%d bytes: %v", n, err)
	}
	return &upload{s: s, it: it}
}

// take takes the next bytes of the value.
func (u *upload) take(text []byte) error {
	for len(text) > 0 {
		room := u.s.Writable(u.it, u.off)
		if len(room) == 0 {
			it, err := u.s.Grow(u.it, u.off)
			if err != nil {
				return err
			}
			u.it = it
			continue
		}
		n := copy(room, text)
		u.off += n
		text = text[n:]
	}
	return nil
}

func (u *upload) link() {
	e := u.s.Lock(u.it.Key(), u.s.Hash(u.it.Key()))
	e.Link(u.it)
	e.Unlock()
}

// chunksOf are the sizes of the chunks that an item lies in.
func chunksOf(s *Store, it Item) (sizes []uint32) {
	sizes = append(sizes, s.classes[it.h.class()].size)
	if it.Chained() {
		for link := it.h.chain().next; link != 0; link = s.at(link).asPart().next {
			sizes = append(sizes, s.classes[s.at(link).class()].size)
		}
	}
	return sizes
}

var growSizes = []int{0, 1, 100, 950, 1000, 1024, 1500, 10000, 100000, ChunkMax - 400, ChunkMax - 100, ChunkMax - 50, ChunkMax - 45, ChunkMax - 40,
	ChunkMax - 36, ChunkMax - 35, ChunkMax - 34, ChunkMax - 33, ChunkMax - 32, ChunkMax - 20, ChunkMax, ChunkMax + 20000, 1000000, 2*ChunkMax - 66,
	2*ChunkMax - 65, 2*ChunkMax - 64, 2*ChunkMax - 63, 2*ChunkMax - 62, 3 << 20}

// TestGrow: a value that comes in pieces has no more memory at any time than the bytes that came justify, and lies in the end as one that came whole.
func TestGrow(t *testing.T) {
	s := open(t, Config{Limit: 64 << 20, ItemMax: 4 << 20, Factor: 1.25, ChunkMin: 48})
	for _, n := range growSizes {
		for _, piece := range []int{1, 1000, 4096, 65536, 1 << 20} {
			if piece == 1 && n > 20000 {
				continue
			}
			t.Run(fmt.Sprintf("%d in pieces of %d", n, piece), func(t *testing.T) {
				testGrow(t, s, n, piece)
			})
		}
	}
}

func testGrow(t *testing.T, s *Store, n, piece int) {
	text := append(sealed("key", n), '\r', '\n')
	u := beginUpload(t, s, "key", n, 0)
	u.it.SetMarks(MarkBinary)
	for len(text) > 0 {
		k := min(piece, len(text))
		if err := u.take(text[:k]); err != nil {
			t.Fatal(err)
		}
		text = text[k:]
		if have, most := s.Footprint(u.it), 2*(growFree+growTrust*u.off); have > most {
			t.Fatalf("%d bytes came, and %d of memory were taken", u.off, have)
		}
		// Who takes a value without its end writes that at once behind it.
		if u.off == n && len(s.Writable(u.it, n))+len(s.Writable(u.it, n+1)) < 2 {
			t.Fatal("no room for the end of the value")
		}
	}
	if at := broken(s, u.it); at >= 0 {
		t.Fatalf("differs from %d on", at)
	}
	if u.it.Flags() != 7 || u.it.Marks() != MarkBinary || string(u.it.Key()) != "key" || u.it.Len() != n {
		t.Error("another item")
	}
	whole, err := s.Alloc([]byte("key"), 7, 0, n)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := chunksOf(s, u.it), chunksOf(s, whole); !slices.Equal(got, want) {
		t.Errorf("lies in chunks of %d, one that came whole in chunks of %d", got, want)
	}
	s.Release(whole)
	u.link()
	if !remove(s, "key") {
		t.Error("not there")
	}
	audit(t, s)
}

// TestGrowOwnCAS: what a client chose moves with the item.
func TestGrowOwnCAS(t *testing.T) {
	s := open(t, small)
	it, err := s.BeginCAS([]byte("key"), 0, 99, 100000, 0, 12345)
	if err != nil {
		t.Fatal(err)
	}
	u := &upload{s: s, it: it}
	if err := u.take(append(sealed("key", 100000), "\r\n"...)); err != nil {
		t.Fatal(err)
	}
	u.link()
	if cas := casOf(s, "key"); cas != 12345 {
		t.Errorf("CAS %d", cas)
	}
	if u.it.Exptime() != 99 || broken(s, u.it) >= 0 {
		t.Error("another item")
	}
}

// TestBeginTakesNothingOfOthers: the first line of a large set evicts nothing, whatever it announces, and a part of the value no more than its worth.
func TestBeginTakesNothingOfOthers(t *testing.T) {
	s := open(t, Config{Limit: 32 << 20, ItemMax: 16 << 20, Factor: 1.25, ChunkMin: 48})
	for i := 0; s.Stats().Evictions == 0; i++ {
		mustSet(t, s, fmt.Sprint("key ", i), strings.Repeat("v", 1000))
	}
	before := s.Stats()
	for i := range 1000 {
		u := beginUpload(t, s, fmt.Sprint("large ", i), 15<<20, 0)
		defer s.Release(u.it)
	}
	if n := s.Stats().Evictions - before.Evictions; n > 1000*2 {
		t.Errorf("%d items evicted for 1000 lines", n)
	}
	if n := s.Stats().CurrItems; n < before.CurrItems*9/10 {
		t.Errorf("%d items of %d are left", n, before.CurrItems)
	}
}

// TestGrowUntilFull: where there is no more memory the upload keeps what it has, and everything can be given back.
func TestGrowUntilFull(t *testing.T) {
	for _, noEvict := range []bool{false, true} {
		s := open(t, Config{Limit: 8 << 20, ItemMax: 4 << 20, Factor: 1.25, ChunkMin: 48, NoEvict: noEvict})
		var all []*upload
		text := append(sealed("key", 3<<20), '\r', '\n')
		failed := 0
		for range 8 {
			u := beginUpload(t, s, "key", 3<<20, 0)
			all = append(all, u)
			err := u.take(text)
			if err != nil {
				failed++
			}
			if err != nil && !errors.Is(err, ErrNoMemory) || err == nil && broken(s, u.it) >= 0 {
				t.Fatal(err)
			}
		}
		if failed < 5 {
			t.Errorf("%d of 8 values of 3 MiB found no room in 8 MiB", failed)
		}
		audit(t, s)
		for _, u := range all {
			s.Release(u.it)
		}
		unused(t, s)
		mustSet(t, s, "key", string(text[:3<<20]))
	}
}

// TestGrowNotByHalves: where there is memory for the rest of a value, but not for all of its "\r\n", the item stays as it was, and can grow later.
func TestGrowNotByHalves(t *testing.T) {
	for lacking := 1; lacking <= 2; lacking++ {
		s := open(t, Config{Limit: 8 << 20, ItemMax: 4 << 20, Factor: 1.25, ChunkMin: 48, NoEvict: true})
		const n = 1 << 20
		first := s.firstRoom(beginUpload(t, s, "key", n, n).it.h)
		u := beginUpload(t, s, "key", first+ChunkMax-headerSize-2+lacking, n)
		if got := s.firstRoom(u.it.h); got != first {
			t.Fatalf("%d bytes are in the first chunk, want %d", got, first)
		}
		text := append(sealed("key", u.it.Len()), '\r', '\n')
		if err := u.take(text[:first]); err != nil {
			t.Fatal(err)
		}
		var others []Item
		for {
			it, err := s.Alloc([]byte("other"), 0, 0, ChunkMax-100)
			if err != nil {
				break
			}
			others = append(others, it)
		}
		s.Release(others[0])
		for range 2 {
			if err := u.take(text[u.off:]); !errors.Is(err, ErrNoMemory) {
				t.Fatalf("%d bytes more than a chunk: %v", lacking, err)
			}
			if got := chunksOf(s, u.it); len(got) != 1 || u.off != first {
				t.Errorf("%d bytes more than a chunk: it lies in %d, %d bytes came", lacking, got, u.off)
			}
		}
		audit(t, s)
		for _, it := range others[1:] {
			s.Release(it)
		}
		if err := u.take(text[u.off:]); err != nil || broken(s, u.it) >= 0 {
			t.Errorf("%d bytes more than a chunk: %v", lacking, err)
		}
		audit(t, s)
	}
}

// TestGrowAmongOthers lets values of all sizes come in pieces, in turns, where there is room for few of them.
func TestGrowAmongOthers(t *testing.T) {
	s := open(t, Config{Limit: 8 << 20, ItemMax: 2 << 20, Factor: 1.25, ChunkMin: 48})
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]*upload, 20)
	done, failed := 0, 0
	for i := range 4000 {
		slot := random.IntN(len(all))
		u := all[slot]
		if u == nil {
			n := 1 << random.IntN(21)
			key := fmt.Sprint("key ", i%500)
			it, err := s.Begin([]byte(key), 0, 0, n, 0)
			if err == nil {
				all[slot] = &upload{s: s, it: it}
			}
			continue
		}
		text := append(sealed(string(u.it.Key()), u.it.Len()), '\r', '\n')[u.off:]
		text = text[:min(len(text), 1<<random.IntN(19))]
		switch err := u.take(text); {
		case err != nil:
			s.Release(u.it)
			all[slot] = nil
			failed++
		case u.off == u.it.Len()+2:
			if at := broken(s, u.it); at >= 0 {
				t.Fatalf("%d bytes differ from %d on", u.it.Len(), at)
			}
			u.link()
			all[slot] = nil
			done++
		}
	}
	t.Logf("%d values arrived, %d found no room", done, failed)
	for _, u := range all {
		if u != nil {
			s.Release(u.it)
		}
	}
}

// BenchmarkAllocInVain is what a set costs where nothing can be evicted, because clients hold everything.
func BenchmarkAllocInVain(b *testing.B) {
	for _, n := range []int{100, 10000, 1000000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, Config{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
			for i := 0; ; i++ {
				it, err := s.Alloc([]byte("key"), 0, 0, 50000)
				if err != nil {
					break
				}
				defer s.Release(it)
			}
			for {
				it, err := s.Alloc([]byte("key"), 0, 0, n)
				if err != nil {
					break
				}
				defer s.Release(it)
			}
			for b.Loop() {
				if it, err := s.Alloc([]byte("key"), 0, 0, n); err == nil {
					s.Release(it)
					b.Fatal("there was memory")
				}
			}
		})
	}
}

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
