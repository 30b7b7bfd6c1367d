package proto

import "ringcached/store"

// outcome is how a storage command ended.
type outcome uint8

const (
	stored outcome = iota
	notStored
	exists
	notFound
	numOutcomes
)

// outcomeTexts are the outcomes in the classic text protocol.
var outcomeTexts = [numOutcomes]string{replyStored, replyNotStored, replyExists, replyNotFound}

// deed is what a storage command did.
type deed struct {
	outcome outcome
	cas     uint64 // of the item that is stored now; 0 if nothing was
	size    int    // length of its value; of the one that was sent if nothing was stored
}

// put does what the upload s wants with its item, whose key, value and "\r\n" are complete. The caller's reference is used up.
func (w *Worker) put(s *session, it store.Item) deed {
	key := it.Key()
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, useSet)
	d := deed{size: it.Len()}
	var linked bool
	if d.outcome, linked = w.putLocked(s, &e, it); d.outcome == stored {
		d.cas, d.size = w.casOf(e.Item()), e.Item().Len()
	}
	if w.interest != 0 {
		w.observeStore(choose(d.outcome == stored, e.Item(), it), verbNames[s.verb], outcomeNames[d.outcome])
	}
	e.Unlock()
	if !linked {
		w.st.Release(it)
	}
	return d
}

// putLocked is put under the entry's lock; it says whether it became the entry's item.
func (w *Worker) putLocked(s *session, e *store.Entry, it store.Item) (o outcome, linked bool) {
	old := e.Item()
	switch s.verb {
	case verbAdd:
		if old.Valid() {
			e.MarkAccessed()
			return notStored, false
		}
	case verbReplace:
		if !old.Valid() {
			return notStored, false
		}
	case verbAppend, verbPrepend:
		if old.Valid() {
			return w.extend(s, e, old, it), false
		}
		if s.flags&flagVivify == 0 {
			return notStored, false
		}
	case verbCAS:
		if o := w.compare(s, old); o != stored {
			return o, false
		}
		if w.casOf(old) != s.arg {
			w.linkStale(e, old, it)
			return stored, true
		}
	}
	e.Link(it)
	return stored, true
}

// compare says whether an item may take the place of old: if old has the CAS that the client knows, or a later one and the client allows
// that.
func (w *Worker) compare(s *session, old store.Item) outcome {
	if !old.Valid() {
		w.tally.add(casMisses)
		return notFound
	}
	if cas := w.casOf(old); s.arg == 0 || cas != s.arg && (s.flags&flagStale == 0 || s.arg > cas) {
		w.tally.addClass(old.Class(), casBadval)
		return exists
	}
	w.tally.addClass(old.Class(), casHits)
	return stored
}

// linkStale puts it into the place of old, which is newer: it is worth keeping until somebody brings a value, but no longer than old was.
func (w *Worker) linkStale(e *store.Entry, old, it store.Item) {
	exptime := old.Exptime()
	it.SetMarks(it.Marks() | store.MarkStale | old.Marks()&store.MarkWon)
	e.Link(it)
	e.SetExptime(exptime)
}

// extend replaces old by a new item: old's flags and expiry, and old's value with piece's behind or before it. Without memory nothing is
// stored.
func (w *Worker) extend(s *session, e *store.Entry, old, piece store.Item) outcome {
	if s.arg != 0 && w.casOf(old) != s.arg {
		return exists
	}
	w.st.Retain(old) // Alloc may evict
	defer w.st.Release(old)
	cas, own := piece.OwnCAS()
	it, err := allocAs(e, old, old.Len()+piece.Len(), cas, own)
	if err != nil {
		return notStored
	}
	it.SetMarks((old.Marks() | piece.Marks()) & store.MarkBinary)
	first, second := old, piece
	if s.verb == verbPrepend {
		first, second = piece, old
	}
	w.copyBytes(it, 0, first, first.Len())
	w.copyBytes(it, first.Len(), second, second.Len())
	fill(w, it, it.Len(), "\r\n")
	e.Link(it)
	return stored
}

// allocAs makes an item for a value of n bytes that takes the place of old, with its flags and expiry; with the CAS cas if own.
func allocAs(e *store.Entry, old store.Item, n int, cas uint64, own bool) (store.Item, error) {
	return allocNew(e, old.Key(), old.Flags(), old.Exptime(), n, cas, own)
}

// allocNew makes an item; with the CAS cas if own.
func allocNew(e *store.Entry, key []byte, flags, exptime uint32, n int, cas uint64, own bool) (store.Item, error) {
	if own {
		return e.AllocCAS(key, flags, exptime, n, cas)
	}
	return e.Alloc(key, flags, exptime, n)
}

// copyBytes copies the first n bytes of src's value into dst from at on.
func (w *Worker) copyBytes(dst store.Item, at int, src store.Item, n int) {
	for off := 0; off < n; {
		from := w.st.Segment(src, off)
		off += copy(w.st.Room(dst, at+off), from[:min(len(from), n-off)])
	}
}

// fill writes text into dst from at on.
func fill[T string | []byte](w *Worker, dst store.Item, at int, text T) {
	for len(text) > 0 {
		n := copy(w.st.Room(dst, at), text)
		at, text = at+n, text[n:]
	}
}
