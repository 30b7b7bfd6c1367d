package store

import (
	"os"
	"strings"
	"testing"
)

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
