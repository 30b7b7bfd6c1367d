package snapshot

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

const (
	pageSize = 4096
	pages    = 4
)

var (
	settings = Settings{{"answer", 42}}
	shape    = Shape{Stripes: 2, Classes: 3, Pages: pages}
	used     = []int{0, 7, 0, pageSize}
	index    = [][]byte{[]byte("buckets"), {}, []byte("queues")}
)

// save makes new files and saves tables in them. After each step there is either no snapshot or a whole one.
func save(t *testing.T) (*File, *Tables) {
	t.Helper()
	f, err := Open(filepath.Join(t.TempDir(), "items"), Pair{}, pages*pageSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	if _, err := f.Read(settings, shape); !errors.Is(err, ErrNew) {
		t.Errorf("a new file: %v", err)
	}
	if err := f.Begin(false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Items.WriteAt([]byte("an item"), pageSize); err != nil {
		t.Fatal(err)
	}
	tables := &Tables{Stripes: make([]Stripe, 2), Classes: make([]Class, 3), Pages: make([]Page, pages), Numbers: []uint32{1, 3}}
	tables.Scalars.Now, tables.Stripes[1].Items, tables.Classes[2].Probation.Length = 77, 5, 9
	for _, step := range f.SaveSteps(func() Content { return Content{settings, tables, pageSize, used, index} }) {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(settings, shape); err != nil && !errors.Is(err, ErrUnclean) {
			t.Errorf("between two steps: %v", err)
		}
	}
	return f, tables
}

// read reads the snapshot that save made.
func read(t *testing.T, f *File) *Tables {
	t.Helper()
	got, err := f.Read(settings, shape)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRoundTrip(t *testing.T) {
	f, want := save(t)
	got := read(t, f)
	if got.Scalars != want.Scalars || got.Stripes[1] != want.Stripes[1] || got.Classes[2] != want.Classes[2] || got.Numbers[1] != 3 {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := f.CheckPages(got.Pages, pageSize, used); err != nil {
		t.Error(err)
	}
	back := [][]byte{make([]byte, 7), {}, make([]byte, 6)}
	if err := f.ReadIndex(got, back); err != nil || !bytes.Equal(back[0], index[0]) || !bytes.Equal(back[2], index[2]) {
		t.Errorf("index %q: %v", back, err)
	}
}

// TestRefused: what does not fit the snapshot is refused, each with its reason.
func TestRefused(t *testing.T) {
	f, _ := save(t)
	got := read(t, f)
	if err := f.ReadIndex(got, [][]byte{make([]byte, 7)}); !errors.Is(err, ErrDamaged) {
		t.Errorf("another size of index: %v", err)
	}
	if _, err := f.Items.WriteAt([]byte("x"), pageSize); err != nil {
		t.Fatal(err)
	}
	if err := f.CheckPages(got.Pages, pageSize, used); !errors.Is(err, ErrAltered) {
		t.Errorf("an item was changed: %v", err)
	}
	if _, err := f.Read(Settings{{"answer", 43}}, shape); err == nil || !strings.Contains(err.Error(), "kept with answer 42, this is answer 43") {
		t.Errorf("other settings: %v", err)
	}
	if _, err := f.Read(settings, Shape{Stripes: 2, Classes: 3, Pages: pages + 1}); !errors.Is(err, ErrDamaged) {
		t.Errorf("another shape: %v", err)
	}
}
