package store

import "errors"

// Levels of SetAutomove.
const (
	AutomoveOff     = 0 // a class gets pages of another only when it has nothing that it could evict
	AutomoveCareful = 1 // also those of a class in which a page clearly serves fewer hits: the default
	AutomoveEager   = 2 // or fewer at all
)

// SetAutomove says how readily pages move to classes that evict.
func (s *Store) SetAutomove(level int) { s.automove.Store(int32(level)) }

// Automove is the level that SetAutomove set.
func (s *Store) Automove() int { return int(s.automove.Load()) }

// What Reassign says.
var (
	ErrMoving    = errors.New("store: a page is being moved already, or all are in use")
	ErrBadClass  = errors.New("store: no such class")
	ErrNoSpare   = errors.New("store: the class has no page to spare")
	ErrSameClass = errors.New("store: from a class to itself")
)

const (
	// AnyClass makes Reassign take the page of the class with the most of them.
	AnyClass = -1
	// NoClass stands for the pages that belong to no class.
	NoClass = 0
)

// Reassign begins to take a page from the class from, evicting what is in it, and to give it to the class to. It is up to Maintain to go
// on, as long as that says that there is more to do. A class keeps its last page.
func (s *Store) Reassign(from, to int) error {
	switch {
	case from == to:
		return ErrSameClass
	case from < AnyClass || from >= len(s.classes) || to < NoClass || to >= len(s.classes):
		return ErrBadClass
	}
	var target *class
	if to != NoClass {
		target = &s.classes[to]
	}
	if from == NoClass {
		return s.assignFree(target)
	}
	m := &s.move
	if !m.mu.tryLock(rankMove) {
		return ErrMoving
	}
	defer m.mu.unlock()
	if m.active.Load() {
		return ErrMoving
	}
	source := s.source(from, to)
	if source == nil {
		return ErrNoSpare
	}
	for nth := range uint32(drainPages) {
		if s.startMove(source, nth, target, false) {
			return nil
		}
	}
	return ErrMoving
}

// source is the class to take a page from, nil if it has none to spare.
func (s *Store) source(from, to int) *class {
	var c *class
	if from == AnyClass {
		var tried [classesMax + 1]bool
		tried[to] = true
		c = s.largestClass(&tried)
	} else {
		c = &s.classes[from]
	}
	if c == nil {
		return nil
	}
	c.lock()
	defer c.unlock()
	if len(c.pages) < 2 {
		return nil
	}
	return c
}

// assignFree gives a class a page that belongs to none.
func (s *Store) assignFree(to *class) error {
	number, ok := s.pool.get()
	if !ok {
		return ErrNoSpare
	}
	to.lock()
	to.adopt(s, number)
	to.unlock()
	return nil
}
