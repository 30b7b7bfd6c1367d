package proto

import (
	"strconv"

	"ringcached/store"
)

// getFlags are the flags that the reply of mg goes by: those that are shown, and those that do something when their turn comes, which
// the ones behind them show.
var getFlags = lettersOf("cfhklOstNRT")

// metaGet answers `mg <key> <flags>*`.
func metaGet(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if text := w.readFlags(r.line, p, 2, getFlags); text != "" {
		return w.refuseMeta(r, text)
	}
	if len(m.token) == 0 {
		return w.refuseMeta(r, replyBadFormat)
	}
	if len(m.opaque) > maxOpaque {
		return w.refuseMeta(r, replyLongOpaque)
	}
	w.room(metaReplyMax) // asking for room under the lock would hold up others
	hash := w.st.Hash(m.key)
	if w.interest == 0 && w.metaGetCopy(hash) {
		return r.size, stepDone
	}
	e := w.st.Lock(m.key, hash)
	w.observeLookup(m.key, &e, useGet)
	created := false
	if !e.Item().Valid() {
		w.countGone(&e)
		created = m.has('N') && w.vivify(&e)
	}
	if e.Item().Valid() {
		w.metaHit(&e, e.Item(), created)
		return r.size, stepDone
	}
	w.tally.add(getMisses)
	e.Unlock()
	w.metaMiss()
	return r.size, stepDone
}

// metaGetCopy is metaGet without a lock, where nothing changes. False: something might, or the store could not tell.
func (w *Worker) metaGetCopy(hash uint64) bool {
	m := &w.meta
	if m.has('T') || m.has('R') {
		return false
	}
	switch w.st.TryGet(m.key, hash, &w.copied) {
	case store.Hit:
		it := w.copied.Item()
		if it.Marks()&^store.MarkBinary != 0 {
			return false
		}
		w.metaHit(nil, it, false)
		return true
	case store.Miss:
		if m.has('N') {
			return false
		}
		w.tally.add(getMisses)
		w.metaMiss()
		return true
	default:
		return false
	}
}

// metaMiss answers that there is no item.
func (w *Worker) metaMiss() {
	if !w.meta.has('q') {
		w.answerMeta("EN")
	}
}

// vivify makes an empty item for the entry, which has none. False: no memory, and the miss is a miss.
func (w *Worker) vivify(e *store.Entry) bool {
	m := &w.meta
	it, err := allocNew(e, m.key, 0, 0, 0, m.own, w.choosesCAS())
	if err != nil {
		return false
	}
	if m.has('b') {
		it.SetMarks(store.MarkBinary)
	}
	fill(w, it, 0, "\r\n")
	e.Link(it)
	return true
}

// metaHit answers mg for it, the item that e has, and unlocks e; or for w's copy of an item, without an entry.
func (w *Worker) metaHit(e *store.Entry, it store.Item, created bool) {
	m := &w.meta
	// A client that has the value already, as its CAS shows, is spared it.
	value := m.has('v') && !(m.has('C') && w.casOf(it) == m.compare)
	b := w.buf
	if value {
		b = strconv.AppendUint(append(b, "VA "...), uint64(it.Len()), 10)
	} else {
		b = append(b, "HD"...)
	}
	won := created
	for _, c := range m.order[:m.n] {
		switch c {
		case 'T':
			e.SetExptime(m.exptime)
		case 'N':
			if created {
				e.SetExptime(m.vivify)
			}
		case 'R':
			won = won || it.Exptime() != 0 && it.Exptime() < m.recache
		default:
			b = w.appendFact(b, c, it)
		}
	}
	b = append(appendLease(b, it, won), "\r\n"...)
	if e != nil && !m.has('u') {
		e.MarkUsed()
	}
	w.tally.addClass(it.Class(), choose(m.has('T'), touchHits, getHits))
	w.buf = b
	switch {
	case value:
		w.sendAndUnlock(e, it, it.Len()+len("\r\n"))
	case e != nil:
		e.Unlock()
	}
}

// appendFact appends what the flag c asks about an item, as it is before this access.
func (w *Worker) appendFact(b []byte, c byte, it store.Item) []byte {
	switch c {
	case 'k', 'O':
		return w.meta.appendEcho(b, c, isBinary(it))
	case 't':
		return w.appendTTL(append(b, " t"...), it.Exptime())
	}
	b = append(b, ' ', c)
	var n uint64
	switch c {
	case 's':
		n = uint64(it.Len())
	case 'c':
		n = w.casOf(it)
	case 'f':
		n = uint64(it.Flags())
	case 'h':
		n = choose[uint64](it.Fetched(), 1, 0)
	case 'l':
		n = uint64(w.st.Now() - min(w.st.Now(), it.LastAccess()))
	}
	return strconv.AppendUint(b, n, 10)
}

// appendLease appends who is to bring a new value. won says that there is a reason for this client to do so; a stale value is another.
// One client is told W, until the value is there or made stale again; the others are told Z.
func appendLease(b []byte, it store.Item, won bool) []byte {
	marks := it.Marks()
	taken := marks&store.MarkWon != 0
	if taken {
		b = append(b, " Z"...)
	}
	if marks&store.MarkStale != 0 {
		b = append(b, " X"...)
		won = true
	}
	if won && !taken {
		b = append(b, " W"...)
		it.SetMarks(marks | store.MarkWon)
	}
	return b
}

// sendAndUnlock sends the first n bytes of a value and its "\r\n", and unlocks the entry that the item was found through. Of a small value
// a copy is sent, made under the lock if there is room. Without an entry the item is w's copy of one.
func (w *Worker) sendAndUnlock(e *store.Entry, it store.Item, n int) {
	if e == nil {
		w.room(n)
		w.buf = append(w.buf, w.st.Segment(it, 0)[:n]...)
		return
	}
	if !it.Chained() && n <= copyMax && cap(w.buf)-len(w.buf) >= n {
		w.buf = append(w.buf, w.st.Segment(it, 0)[:n]...)
		e.Unlock()
		return
	}
	w.st.Retain(it)
	e.Unlock()
	if it.Chained() || n > copyMax {
		w.sendValue(it, n)
		return
	}
	w.moreRoom(n)
	w.buf = append(w.buf, w.st.Segment(it, 0)[:n]...)
	w.st.Release(it)
}
