package proto

import "ringcached/store"

// echoFlags are the flags that the reply of md goes by.
var echoFlags = lettersOf("kO")

// metaDelete answers `md <key> <flags>*`.
func metaDelete(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if text := w.readFlags(r.line, p, 2, echoFlags); text != "" {
		return w.refuseMeta(r, text)
	}
	if len(m.token) == 0 {
		return w.refuseMeta(r, replyBadFormat)
	}
	if len(m.opaque) > maxOpaque {
		return w.refuseMeta(r, replyLongOpaque)
	}
	e := w.st.Lock(m.key, w.st.Hash(m.key))
	w.observeLookup(m.key, &e, useDelete)
	o, err := w.metaDeleteLocked(&e)
	e.Unlock()
	switch {
	case err != nil:
		w.write(replyOutOfArith)
	case o != stored || !m.has('q'):
		w.answerMeta(outcomeCodes[o])
	}
	return r.size, stepDone
}

// metaDeleteLocked is md under the entry's lock. It may keep the item without its value (x), or as stale (I), or both. stored means that
// it did as it was told; an error, that there was no memory for what it is to keep.
func (w *Worker) metaDeleteLocked(e *store.Entry) (outcome, error) {
	m, it := &w.meta, e.Item()
	if !it.Valid() {
		w.tally.add(deleteMisses)
		return notFound, nil
	}
	if m.has('C') && w.casOf(it) != m.compare {
		w.tally.add(deleteMisses)
		return exists, nil
	}
	class := it.Class()
	if m.has('x') {
		// An empty value in place of an old one is no new value: the CAS stays, unless the client says otherwise.
		if err := w.empty(e, it, choose(w.choosesCAS(), m.own, it.CAS())); err != nil {
			return stored, err
		}
	}
	if m.has('I') {
		return stored, w.makeStale(e)
	}
	w.tally.addClass(class, deleteHits)
	if w.interest != 0 {
		w.observeDelete(e.Item(), "md")
	}
	if !m.has('x') {
		e.Unlink()
	}
	return stored, nil
}

// empty replaces the entry's item by one without value.
func (w *Worker) empty(e *store.Entry, old store.Item, cas uint64) error {
	marks := old.Marks() & store.MarkBinary
	it, err := e.AllocCAS(w.meta.key, w.meta.client, w.meta.exptime, 0, cas)
	if err != nil {
		return err
	}
	it.SetMarks(marks)
	fill(w, it, 0, "\r\n")
	w.observeAgain(old.Key(), e)
	e.Link(it)
	if w.interest != 0 {
		w.observeStore(it, "set", "stored")
	}
	return nil
}

// makeStale marks the entry's item as stale, with a new CAS, so that who reads it next is asked to bring a new value.
func (w *Worker) makeStale(e *store.Entry) error {
	m, it := &w.meta, e.Item()
	switch {
	case !w.choosesCAS():
		e.NewCAS()
	case !e.SetCAS(m.own):
		if err := w.withRoomForCAS(e, it, m.own); err != nil {
			return err
		}
	}
	if m.has('T') {
		e.SetExptime(m.exptime)
	}
	it = e.Item()
	it.SetMarks(it.Marks()&^store.MarkWon | store.MarkStale)
	return nil
}

// withRoomForCAS replaces the entry's item by a copy that has room for a CAS of the client's choice.
func (w *Worker) withRoomForCAS(e *store.Entry, old store.Item, cas uint64) error {
	it, err := allocAs(e, old, old.Len(), cas, true)
	if err != nil {
		return err
	}
	it.SetMarks(old.Marks())
	w.copyBytes(it, 0, old, old.Len()+2)
	e.Renew(it)
	return nil
}
