package store

import "unsafe"

// An item's number, in its header, says when it was stored: a flush is told from it, so it must grow with every store. It serves as
// CAS too, unless a client wants another, of which any of 64 bits is allowed: then the item has room for that behind its header, and
// its number goes on to mean what it means.

// ownsCAS says that the item has room for a CAS that a client chose.
func (h *header) ownsCAS() bool { return h.state.Load()&stateOwnCAS != 0 }

// ownCAS is the place of that CAS.
func (h *header) ownCAS() *uint64 {
	at := headerSize + extension(h.state.Load()&stateChained)
	return (*uint64)(unsafe.Add(unsafe.Pointer(h), at))
}

// AllocCAS is Alloc for an item whose CAS is to be cas, and stays so when it is linked.
func (s *Store) AllocCAS(key []byte, flags, exptime uint32, n int, cas uint64) (Item, error) {
	it, err := s.alloc(key, flags, exptime, n, stateOwnCAS, nil)
	if err == nil {
		*it.h.ownCAS() = cas
	}
	return it, err
}

// AllocCAS is Store.AllocCAS for who has an entry locked, as Entry.Alloc is Store.Alloc.
func (e *Entry) AllocCAS(key []byte, flags, exptime uint32, n int, cas uint64) (Item, error) {
	it, err := e.alloc(key, flags, exptime, n, stateOwnCAS)
	if err == nil {
		*it.h.ownCAS() = cas
	}
	return it, err
}

// OwnCAS is the CAS that AllocCAS or Entry.SetCAS gave the item; no if it is one for which the store chooses. After Entry.NewCAS it is
// the store's choice.
func (it Item) OwnCAS() (cas uint64, ok bool) {
	if !it.h.ownsCAS() {
		return 0, false
	}
	return *it.h.ownCAS(), true
}

// SetCAS gives the item the CAS cas after a change in place, as NewCAS gives it one of the store's. False says that the item has no room
// for it, which only AllocCAS makes, and nothing was done.
func (e *Entry) SetCAS(cas uint64) bool {
	if !e.h.ownsCAS() {
		return false
	}
	e.changed(e.h)
	*e.h.ownCAS() = cas
	return true
}
