package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/store/memory"
	"ringcached/store/snapshot"
)

// inFile is small in a new file, in memory where the system has a place for such files.
func inFile(t testing.TB) Config {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ringcached-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := small
	c.File = filepath.Join(dir, "items")
	return c
}

// saved is a moment at which tests save.
var saved = time.Unix(1_700_000_000, 123_456_789)

func begun(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// end saves and closes. It returns how many items were kept.
func end(t testing.TB, s *Store) uint64 {
	t.Helper()
	items, err := s.Save(saved, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().CurrItems; items != n {
		t.Errorf("%d items kept of %d", items, n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return items
}

// reopened is the store after a stop and a start, which must take the items up.
func reopened(t testing.TB, s *Store) *Store {
	t.Helper()
	config := s.config
	n := end(t, s)
	s = begun(t, config)
	if r := s.Restored(); r.Why != nil || r.Items != n || s.Stats().CurrItems != n || !r.Wall.Equal(saved) || r.Age != time.Hour {
		t.Fatalf("%+v, want %d items", r, n)
	}
	audit(t, s)
	return s
}

// TestFileSize: the size of the file is part of its format. Another version of the server, which may read more or less behind the items, has to find
// it as it left it, or it takes up nothing.
func TestFileSize(t *testing.T) {
	c := inFile(t)
	end(t, begun(t, c))
	info, err := os.Stat(c.File)
	if err != nil {
		t.Fatal(err)
	}
	if want := small.Limit + int64(os.Getpagesize()) + snapshot.TrailerRoom; info.Size() != want {
		t.Errorf("%d bytes, want %d", info.Size(), want)
	}
	if mapped := memory.WholePages(itemBytes(c.pages())); mapped > info.Size() {
		t.Errorf("%d bytes are mapped of %d", mapped, info.Size())
	}
}

// alter runs change under the entry of a key that is there.
func alter(t testing.TB, s *Store, key string, change func(e *Entry)) {
	t.Helper()
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	if !e.Item().Valid() {
		t.Fatalf("%s is gone", key)
	}
	change(&e)
}

func TestRestoreKinds(t *testing.T) {
	c := inFile(t)
	c.Limit = 32 << 20
	s := begun(t, c)
	if r := s.Restored(); !errors.Is(r.Why, snapshot.ErrNew) || r.Items != 0 {
		t.Errorf("a new file: %+v", r)
	}
	s.SetNow(1000)
	lengths := []int{0, 1, 31, 100, 1000, 10_000, 100_000, 600_000, 1_000_000}
	for i, n := range lengths {
		key := fmt.Sprint("sized", i)
		if err := set(s, key, string(sealed(key, n)), uint32(i)*1_000_003, 0); err != nil {
			t.Fatal(err)
		}
	}
	own, err := s.AllocCAS([]byte("own"), 7, 0, 3, 1<<63+5)
	if err != nil {
		t.Fatal(err)
	}
	fill(s, own, []byte("cas"))
	own.SetMarks(MarkStale | MarkBinary)
	e := s.Lock([]byte("own"), s.Hash([]byte("own")))
	e.Link(own)
	e.Unlock()
	for key, exptime := range map[string]uint32{"soon": 1010, "later": 2000} {
		if err := set(s, key, key, 0, exptime); err != nil {
			t.Fatal(err)
		}
	}
	mustSet(t, s, "gone", "v")
	remove(s, "gone")
	cas := map[string]uint64{}
	for _, key := range []string{"sized3", "own", "later"} {
		alter(t, s, key, func(e *Entry) { e.MarkUsed(); cas[key] = e.Item().CAS() })
	}

	s = reopened(t, s)
	if s.Now() != 1000 {
		t.Errorf("second %d", s.Now())
	}
	s.SetNow(1500)
	for i, n := range lengths {
		key := fmt.Sprint("sized", i)
		alter(t, s, key, func(e *Entry) {
			if it := e.Item(); it.Len() != n || it.Flags() != uint32(i)*1_000_003 || broken(s, it) >= 0 {
				t.Errorf("%s: %d bytes, flags %d, broken at %d", key, it.Len(), it.Flags(), broken(s, it))
			}
		})
	}
	for key, want := range cas {
		alter(t, s, key, func(e *Entry) {
			if it := e.Item(); it.CAS() != want || !it.Fetched() {
				t.Errorf("%s: CAS %d, want %d; fetched %v", key, it.CAS(), want, it.Fetched())
			}
		})
	}
	alter(t, s, "own", func(e *Entry) {
		if e.Item().Marks() != MarkStale|MarkBinary {
			t.Errorf("marks %b", e.Item().Marks())
		}
	})
	alter(t, s, "later", func(e *Entry) {
		if e.Item().Exptime() != 2000 {
			t.Errorf("expires at %d", e.Item().Exptime())
		}
	})
	wantAbsent(t, s, "soon")
	wantAbsent(t, s, "gone")
	// Numbers go on, so that neither a CAS nor a flush is mistaken.
	mustSet(t, s, "new", "v")
	alter(t, s, "new", func(e *Entry) {
		for key, old := range cas {
			if e.Item().CAS() == old {
				t.Errorf("the CAS of %s was given out again", key)
			}
		}
	})
	s.FlushAll(0)
	wantAbsent(t, s, "new")
	wantAbsent(t, s, "later")
	end(t, s)
}

// TestRestoreFlushes: what was flushed stays away, and a flush that was asked for comes.
func TestRestoreFlushes(t *testing.T) {
	s := begun(t, inFile(t))
	mustSet(t, s, "before", "v")
	s.FlushAll(0)
	mustSet(t, s, "after", "v")
	s.FlushAll(100)
	s = reopened(t, s)
	wantAbsent(t, s, "before")
	wantValue(t, s, "after", "v")
	s.SetNow(99)
	wantValue(t, s, "after", "v")
	s.SetNow(101)
	wantAbsent(t, s, "after")
	mustSet(t, s, "anew", "v")
	s = reopened(t, s)
	wantAbsent(t, s, "after")
	wantValue(t, s, "anew", "v")
	end(t, s)
}

// TestRestoreAgain fills and changes a store through several restarts, with evictions, page moves and limits, and finds every value whole.
func TestRestoreAgain(t *testing.T) {
	s := begun(t, inFile(t))
	sizes := []int{10, 40, 200, 3000, 70_000, 700_000}
	for round := range 3 {
		for i := range 6000 {
			n := sizes[0]
			if i%21 == 0 {
				n = sizes[(i/21+round)%len(sizes)]
			}
			key := fmt.Sprint("key", round, ":", i)
			if err := set(s, key, string(sealed(key, n)), 0, 0); err != nil {
				t.Fatal(err)
			}
			if i%5 == 0 {
				remove(s, fmt.Sprint("key", round, ":", i/2))
			}
		}
		if err := s.Reassign(AnyClass, 1+round); err == nil && round%2 == 0 {
			settle(t, s)
		} // otherwise the move is under way when the store is saved
		s = reopened(t, s)
		w := Walk{Classes: AllClasses}
		items := uint64(0)
		for more := true; more; {
			more = s.Visit(&w, func(it Item) {
				items++
				if at := broken(s, it); at >= 0 {
					t.Fatalf("%s of %d bytes is broken at %d", it.Key(), it.Len(), at)
				}
			})
		}
		if n := s.Stats().CurrItems; n != items || n < 100 {
			t.Errorf("%d items of %d met", items, n)
		}
	}
	end(t, s)
}

// TestRestoreLowLimit: a limit that was lowered is the configured one again, and the holes that it left are filled.
func TestRestoreLowLimit(t *testing.T) {
	s := begun(t, inFile(t))
	for i := range 2000 {
		mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", 5000))
	}
	full := blocks(t, s)
	if err := s.SetLimit(small.Limit + PageSize); err == nil {
		t.Error("the limit was raised above the file")
	}
	if err := s.SetLimit(small.Limit / 2); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if low := blocks(t, s); low > full/2+1<<20 {
		t.Errorf("the file has %d bytes of %d", low, full)
	}
	if err := s.SetLimit(small.Limit / 4 * 3); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if again := blocks(t, s); again < full*3/4 {
		t.Errorf("the file has %d bytes of %d for a higher limit", again, full)
	}
	audit(t, s)
	s = reopened(t, s)
	if got := blocks(t, s); got < full || s.Limit() != small.Limit {
		t.Errorf("the file has %d bytes of %d; the limit is %d", got, full, s.Limit())
	}
	for i := range 2000 {
		mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("w", 5000))
	}
	audit(t, s)
	end(t, s)
}

// blocks is how many bytes the file system has set apart for the items.
func blocks(t *testing.T, s *Store) int64 {
	t.Helper()
	info, err := s.file.Items.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

// TestSaveReferences: references of nobody are forgotten, and items in the making are an error.
func TestSaveReferences(t *testing.T) {
	s := begun(t, inFile(t))
	mustSet(t, s, "k", "v")
	alter(t, s, "k", func(e *Entry) { s.Retain(e.Item()); s.Retain(e.Item()) })
	s = reopened(t, s)
	if !remove(s, "k") {
		t.Error("k is gone")
	}
	unused(t, s)
	it, err := s.Alloc([]byte("half"), 0, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(saved, 0); !errors.Is(err, ErrInUse) {
		t.Errorf("an item in the making: %v", err)
	}
	s.Release(it)
	end(t, s)
	plain := open(t, small)
	if _, err := plain.Save(saved, 0); err == nil {
		t.Error("saved without a file")
	}
}

func TestRestoreOtherSettings(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"memory limit 8388608, this is memory limit 9437184":                func(c *Config) { c.Limit = 9 << 20 },
		"memory limit 8388608, this is memory limit 4194304":                func(c *Config) { c.Limit = 4 << 20 },
		"item size limit 1048576, this is item size limit 2097152":          func(c *Config) { c.ItemMax = 2 << 20 },
		"growth factor 1.25, this is growth factor 1.5":                     func(c *Config) { c.Factor = 1.5 },
		"minimum space for key and value 48, this is minimum space for key": func(c *Config) { c.ChunkMin = 64 },
	} {
		c := inFile(t)
		s := begun(t, c)
		mustSet(t, s, "k", "v")
		end(t, s)
		other := c
		change(&other)
		s = begun(t, other)
		if why := s.Restored().Why; why == nil || !strings.Contains(why.Error(), "other settings: it was kept with "+name) {
			t.Errorf("%s: %v", name, why)
		}
		unused(t, s)
		for i := range 3000 {
			mustSet(t, s, fmt.Sprint(i), strings.Repeat("v", 5000))
		}
		audit(t, s)
		end(t, s)
		s = begun(t, other)
		if s.Restored().Why != nil {
			t.Error(s.Restored().Why)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFileRefused: what can't or should not be used is an error, and stays as it is.
func TestFileRefused(t *testing.T) {
	c := inFile(t)
	refused := func(want string) {
		t.Helper()
		if s, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			if s != nil {
				s.Close()
			}
		}
	}
	s := begun(t, c)
	refused("in use by another server")
	mustSet(t, s, "k", "v")
	end(t, s)

	huge := c
	huge.Limit = 1 << 42
	c, huge = huge, c
	refused("no space left on device")
	c = huge
	for _, name := range []string{c.File, c.File + MetaSuffix} {
		kept, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		const text = "Dear diary, this is not a cache, and yet long enough to be one."
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		refused("has something else in it")
		if left, err := os.ReadFile(name); err != nil || string(left) != text {
			t.Errorf("%.80q, %v", left, err)
		}
		if err := os.WriteFile(name, kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = begun(t, c)
	if s.Restored().Why != nil {
		t.Errorf("after all that: %v", s.Restored().Why)
	}
	wantValue(t, s, "k", "v")
	end(t, s)

	elsewhere := c.File + ".elsewhere"
	if err := os.Rename(c.File, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, c.File); err != nil {
		t.Fatal(err)
	}
	refused("too many levels of symbolic links")
}

// BenchmarkRestore is a start with a file full of items of 20-byte keys and 32-byte values, in memory, where the system has a place for it.
// Beside the time of a start with 1 GiB it reports that of the stop before.
func BenchmarkRestore(b *testing.B) {
	c := inFile(b)
	c.Limit = 1 << 30
	s := begun(b, c)
	items := 0
	for ; s.Stats().PagesUsed < int(c.Limit/PageSize); items += 10_000 {
		for i := range 10_000 {
			mustSet(b, s, fmt.Sprintf("key:%016d", items+i), "0123456789abcdef0123456789abcdef")
		}
	}
	var saving time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		begin := time.Now()
		end(b, s)
		saving += time.Since(begin)
		b.StartTimer()
		s = begun(b, c)
		if s.Restored().Why != nil {
			b.Fatal(s.Restored().Why)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(saving.Nanoseconds())/float64(b.N), "ns/save")
	b.ReportMetric(float64(s.Stats().CurrItems), "items")
	end(b, s)
}

// TestFiles passes the files of a store to the next one: they stay locked between, and need not be opened by name.
func TestFiles(t *testing.T) {
	c := inFile(t)
	s := begun(t, c)
	mustSet(t, s, "key", "value")
	items, meta, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	end(t, s)
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("another store on the files: %v", err)
	}
	opened := c
	opened.Opened = FilePair{Items: os.NewFile(uintptr(items), c.File), Meta: os.NewFile(uintptr(meta), c.File+MetaSuffix)}
	s = begun(t, opened)
	if r := s.Restored(); r.Why != nil || r.Items != 1 {
		t.Errorf("%+v", r)
	}
	audit(t, s)
	end(t, s)
	s = begun(t, c) // nobody has them any more
	if r := s.Restored(); r.Why != nil || r.Items != 1 {
		t.Errorf("%+v", r)
	}
	end(t, s)
}

func TestNoFiles(t *testing.T) {
	s := begun(t, small)
	defer s.Close()
	if items, meta, err := s.Files(); items != -1 || meta != -1 || err != nil {
		t.Errorf("%d, %d, %v", items, meta, err)
	}
}
