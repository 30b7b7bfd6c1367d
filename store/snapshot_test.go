package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"ringcached/store/snapshot"
)

// keptFiles are the files of a store that was saved, to be put back after each try to take them up.
type keptFiles struct {
	config Config
	meta   []byte
	items  []byte
}

func keepFiles(t *testing.T) *keptFiles {
	t.Helper()
	k := &keptFiles{config: inFile(t)}
	s := begun(t, k.config)
	for i := range 500 {
		key := fmt.Sprint("key", i)
		mustSet(t, s, key, string(sealed(key, i*20)))
	}
	end(t, s)
	var err error
	if k.meta, err = os.ReadFile(k.config.File + MetaSuffix); err != nil {
		t.Fatal(err)
	}
	if k.items, err = os.ReadFile(k.config.File); err != nil {
		t.Fatal(err)
	}
	return k
}

// put brings both files back, with other contents.
func (k *keptFiles) put(t *testing.T, meta, items []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(k.config.File+MetaSuffix, meta, 0o600), os.WriteFile(k.config.File, items, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// try says why a start does not take the files up. If it does not, it must start empty and in order.
func (k *keptFiles) try(t *testing.T) error {
	t.Helper()
	s, err := New(k.config)
	if err != nil {
		return err
	}
	defer s.Close()
	why := s.Restored().Why
	if why != nil {
		if n := s.Stats(); n.CurrItems != 0 || n.PagesUsed != 0 {
			t.Fatalf("%v, and %d items are there", why, n.CurrItems)
		}
		wantAbsent(t, s, "key1")
		mustSet(t, s, "key1", "v")
		audit(t, s)
	}
	return why
}

// TestSnapshotDamaged changes bytes all over the snapshot and cuts it off everywhere, of its beginning each, of the rest one in many.
func TestSnapshotDamaged(t *testing.T) {
	k := keepFiles(t)
	places := func(each int) (list []int) {
		for i := 0; i < len(k.meta); i++ {
			list = append(list, i)
			if i >= each {
				i += len(k.meta) / 40
			}
		}
		return append(list, len(k.meta)-1)
	}
	for _, i := range places(80) {
		changed := bytes.Clone(k.meta)
		changed[i] ^= 1 << (i % 8)
		k.put(t, changed, k.items)
		if k.try(t) == nil {
			t.Errorf("byte %d of %d changed: taken up", i, len(k.meta))
		}
	}
	for _, n := range places(80) {
		k.put(t, k.meta[:n], k.items)
		if k.try(t) == nil {
			t.Errorf("%d bytes of %d: taken up", n, len(k.meta))
		}
		// The header is written in one piece over zeros, and still: of half a header nothing is believed.
		if torn := bytes.Clone(k.meta); int64(n) < snapshot.HeaderSize {
			clear(torn[n:snapshot.HeaderSize])
			k.put(t, torn, k.items)
			if !bytes.Equal(torn, k.meta) && k.try(t) == nil {
				t.Errorf("%d bytes of the header: taken up", n)
			}
		}
	}
	k.put(t, append(bytes.Clone(k.meta), 0), k.items)
	if k.try(t) == nil {
		t.Error("with a byte more: taken up")
	}
	for i := range snapshot.TrailerSize {
		changed := bytes.Clone(k.items)
		changed[len(changed)-1-i] ^= 0x20
		k.put(t, k.meta, changed)
		if k.try(t) == nil {
			t.Errorf("byte %d of the trailer changed: taken up", i)
		}
	}
	k.put(t, k.meta, append(bytes.Clone(k.items), k.items[len(k.items)-snapshot.TrailerRoom:]...))
	if k.try(t) == nil {
		t.Error("with more items: taken up")
	}
	k.put(t, k.meta, k.items)
	if err := k.try(t); err != nil {
		t.Errorf("as it was: %v", err)
	}
	if err := k.try(t); err == nil || err.Error() != snapshot.ErrUnclean.Error() {
		t.Errorf("a second time, without a save between: %v", err)
	}
}

// TestItemsAltered changes the items behind the store's back: only what nothing lies in may be another.
func TestItemsAltered(t *testing.T) {
	k := keepFiles(t)
	s := begun(t, k.config)
	carved := make([]int, len(s.pages)) // bytes
	for i := range s.pages {
		carved[i] = int(s.pages[i].carved * s.classes[s.pages[i].owner()].size)
	}
	end(t, s)
	try := func(what string, want error, change func(items []byte) []byte) {
		t.Helper()
		k.put(t, k.meta, change(bytes.Clone(k.items)))
		if err := k.try(t); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	for i, used := range carved {
		at := func(off int) func([]byte) []byte {
			return func(items []byte) []byte { items[i*PageSize+off] ^= 4; return items }
		}
		for _, off := range []int{0, used / 2, used - 1} {
			if used > 0 {
				try(fmt.Sprintf("byte %d of page %d", off, i), snapshot.ErrAltered, at(off))
			}
		}
		if used < PageSize {
			try(fmt.Sprintf("byte %d of page %d, unused", used, i), nil, at(used))
		}
	}
	try("cut off", snapshot.ErrDamaged, func(items []byte) []byte { return append(items[:len(items)-8192], items[len(items)-4096:]...) })
	try("a page missing", snapshot.ErrAltered, func(items []byte) []byte { clear(items[:PageSize]); return items })
	try("two pages in the wrong order", snapshot.ErrAltered, func(items []byte) []byte {
		swapped := bytes.Clone(items)
		copy(swapped, items[PageSize:2*PageSize])
		copy(swapped[PageSize:], items[:PageSize])
		return swapped
	})
}

// TestCopiedWhileRunning: a copy of the items that was made before the stop does not go with the snapshot of the stop.
func TestCopiedWhileRunning(t *testing.T) {
	c := inFile(t)
	s := begun(t, c)
	for i := range 100 {
		mustSet(t, s, fmt.Sprint("key", i), "before")
	}
	early, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "key7", "after.")
	end(t, s)
	if err := os.WriteFile(c.File, early, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&keptFiles{config: c}).try(t); !errors.Is(err, snapshot.ErrAltered) {
		t.Error(err)
	}
}

// TestSnapshotOfAnotherStart: a snapshot fits the items of its own start, and of no later one.
func TestSnapshotOfAnotherStart(t *testing.T) {
	k := keepFiles(t)
	s := begun(t, k.config)
	remove(s, "key1")
	end(t, s)
	if err := os.WriteFile(k.config.File+MetaSuffix, k.meta, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.try(t); err == nil || err.Error() != snapshot.ErrApart.Error() {
		t.Errorf("the snapshot of the start before: %v", err)
	}
	k.put(t, k.meta, k.items)
	if err := os.Remove(k.config.File); err != nil {
		t.Fatal(err)
	}
	if err := k.try(t); err == nil || err.Error() != snapshot.ErrApart.Error() {
		t.Errorf("without the items: %v", err)
	}
}

// TestSaveInterrupted ends a save before each of its steps, and within each write.
func TestSaveInterrupted(t *testing.T) {
	config := inFile(t)
	for steps, complete := 0, false; !complete; steps++ {
		s := begun(t, config)
		for i := range 300 {
			key := fmt.Sprint("key", i)
			mustSet(t, s, key, string(sealed(key, 100+steps)))
		}
		all := s.saveSteps(saved, time.Hour)
		for _, step := range all[:steps] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = begun(t, config)
		complete = steps == len(all)
		switch r := s.Restored(); {
		case steps < len(all)-1 && r.Why == nil:
			t.Errorf("after %d steps of %d: taken up", steps, len(all))
		case complete && r.Why != nil:
			t.Errorf("after all: %v", r.Why)
		case r.Why == nil:
			wantValue(t, s, "key7", string(sealed("key7", 100+steps)))
		}
		audit(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
