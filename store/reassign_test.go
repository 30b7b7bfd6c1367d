package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReassign(t *testing.T) {
	s := open(t, small)
	for i := range 30_000 {
		mustSet(t, s, fmt.Sprint("small", i), "v")
	}
	from := classesWith(s, 2)[0]
	to := int(s.classFor(5000).id)
	pages := func(class int) int { return s.Classes()[class-1].Pages }
	before := pages(from)
	if err := s.Reassign(from, to); err != nil {
		t.Fatal(err)
	}
	if err := s.Reassign(from, to); !errors.Is(err, ErrMoving) {
		t.Errorf("a second one at the same time: %v", err)
	}
	if !s.Stats().MoveRunning {
		t.Error("no move is running")
	}
	settle(t, s)
	if pages(from) != before-1 || pages(to) != 1 {
		t.Errorf("%d pages of %d are left, and %d have arrived", pages(from), before, pages(to))
	}
	n := s.Stats()
	if n.PagesMoved != 1 || n.MoveRunning || n.MoveEvicted == 0 || n.MoveEvicted != n.Evictions {
		t.Errorf("%+v", n)
	}
	if err := s.Reassign(AnyClass, NoClass); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if n := s.Stats(); n.GlobalPagePool != 1 || pages(from) != before-2 {
		t.Errorf("%d pages in the pool, %d left", n.GlobalPagePool, pages(from))
	}
	if err := s.Reassign(NoClass, to); err != nil {
		t.Fatal(err)
	}
	if pages(to) != 2 {
		t.Errorf("%d pages", pages(to))
	}
	s.ResetStats()
	if n := s.Stats(); n.PagesMoved != 0 || n.MoveEvicted != 0 {
		t.Errorf("after a reset: %+v", n)
	}
}

func TestReassignRefused(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "k", "v")
	for _, test := range []struct {
		from, to int
		want     error
	}{
		{1, 1, ErrSameClass},
		{0, 0, ErrSameClass},
		{-1, -1, ErrSameClass},
		{-2, 1, ErrBadClass},
		{1, -1, ErrBadClass},
		{64, 1, ErrBadClass},
		{1, 64, ErrBadClass},
		{1, 2, ErrNoSpare},
		{AnyClass, 2, ErrNoSpare},
		{30, 2, ErrNoSpare},
	} {
		if err := s.Reassign(test.from, test.to); !errors.Is(err, test.want) {
			t.Errorf("from %d to %d: %v, want %v", test.from, test.to, err, test.want)
		}
	}
	if err := s.SetLimit(4 << 20); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Reassign(NoClass, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Reassign(NoClass, 2); !errors.Is(err, ErrNoSpare) {
		t.Errorf("out of an empty pool: %v", err)
	}
}

// TestReassignPinned: a page with something in use stays where it is.
func TestReassignPinned(t *testing.T) {
	s := open(t, small)
	var held []Item
	for i := range 8 {
		key := fmt.Append(nil, "large", i)
		mustSet(t, s, string(key), strings.Repeat("v", 400_000))
		e := s.Lock(key, s.Hash(key))
		s.Retain(e.Item())
		held = append(held, e.Item())
		e.Unlock()
	}
	if err := s.Reassign(held[0].Class(), 1); !errors.Is(err, ErrMoving) {
		t.Errorf("all pages are in use: %v", err)
	}
	for _, it := range held {
		s.Release(it)
	}
	if err := s.Reassign(held[0].Class(), 1); err != nil {
		t.Error(err)
	}
	settle(t, s)
}

// TestAutomoveOff: then memory that nobody uses stays with its class, as long as the others have something to evict.
func TestAutomoveOff(t *testing.T) {
	for _, test := range []struct {
		level int
		moves bool
	}{{AutomoveOff, false}, {AutomoveCareful, true}, {AutomoveEager, true}} {
		s := open(t, small)
		s.SetAutomove(test.level)
		if s.Automove() != test.level {
			t.Errorf("level %d is %d", test.level, s.Automove())
		}
		fillUp(t, s, "first", 20)
		for i := range 60_000 {
			mustSet(t, s, fmt.Sprint("small", i), "v")
		}
		s.ResetStats()
		for i := range 600 {
			if i%10 == 0 {
				s.SetNow(s.Now() + 1)
			}
			mustSet(t, s, fmt.Sprint("large", i), strings.Repeat("v", 100_000))
		}
		if n := s.Stats(); (n.PagesMoved > 0) != test.moves {
			t.Errorf("level %d: %d pages moved", test.level, n.PagesMoved)
		}
	}
}

// classesWith are the ids of the classes with at least the given pages.
func classesWith(s *Store, pages int) (ids []int) {
	for _, c := range s.Classes() {
		if c.Pages >= pages {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
