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
	how := &plainMetaGet
	if m.seen&lookupFlags != 0 {
		how = w.metaLookup()
	}
	f := w.lookup(m.key, w.st.Hash(m.key), how)
	switch {
	case f.item.Valid():
		w.metaHit(f)
	case !m.has('q'):
		w.answerMeta("EN")
	}
	return r.size, stepDone
}

// lookupFlags are those with which mg does more than to read. Most lines have none of them.
var lookupFlags = lettersOf("NRTu")

// plainMetaGet is mg without them.
var plainMetaGet = lookup{use: useGet, missed: getMisses, lease: true}

// metaLookup is what mg asks for.
func (w *Worker) metaLookup() *lookup {
	m := &w.meta
	m.lookup = lookup{
		use: useGet, missed: getMisses, touch: m.has('T'), exptime: m.exptime, unused: m.has('u'), create: m.has('N'), lease: true,
		own: w.choosesCAS(), cas: m.own, encoded: m.has('b'),
	}
	m.orderExpiry(&m.lookup)
	return &m.lookup
}

// orderExpiry fills in what follows from the order of N, R and T, which act in the order in which they stand: the last of N and T decides about an item that is made, and R asks for the time
// that T has set, if that stands before it.
func (m *meta) orderExpiry(how *lookup) {
	touched := false
	for _, c := range m.order[:m.n] {
		switch c {
		case 'N':
			how.fresh = m.vivify
		case 'T':
			how.fresh, touched = m.exptime, true
		case 'R':
			if touched {
				how.win = m.exptime != 0 && m.exptime < m.recache
			} else {
				how.recache = m.recache
			}
		}
	}
}

// metaHit answers mg for an item, and ends the lookup.
func (w *Worker) metaHit(f found) {
	m, it := &w.meta, f.item
	// A client that has the value already, as its CAS shows, is spared it.
	value := m.has('v') && !(m.has('C') && w.casOf(it) == m.compare)
	b := w.buf
	if value {
		b = strconv.AppendUint(append(b, "VA "...), uint64(it.Len()), 10)
	} else {
		b = append(b, "HD"...)
	}
	exptime := w.facts.exptime
	for _, c := range m.order[:m.n] {
		switch c {
		case 'T':
			exptime = m.exptime
		case 'N':
			if w.facts.created {
				exptime = m.vivify
			}
		case 'R':
		case 't':
			b = w.appendTTL(append(b, " t"...), exptime)
		default:
			b = w.appendFact(b, c, it)
		}
	}
	w.buf = append(w.facts.appendLease(b), "\r\n"...)
	if value {
		w.writeValue(f, len("\r\n"))
	} else {
		w.endLookup(f)
	}
}

// appendFact appends what the flag c asks about an item, as it was before this access.
func (w *Worker) appendFact(b []byte, c byte, it store.Item) []byte {
	facts := &w.facts
	var n uint64
	switch c {
	case 'k', 'O':
		return w.meta.appendEcho(b, c, isBinary(it))
	case 's':
		n = uint64(it.Len())
	case 'c':
		n = w.casOf(it)
	case 'f':
		n = uint64(it.Flags())
	case 'h':
		n = choose[uint64](facts.fetched, 1, 0)
	case 'l':
		n = uint64(w.st.Now() - min(w.st.Now(), facts.lastAccess))
	}
	return strconv.AppendUint(append(b, ' ', c), n, 10)
}

// appendLease appends who is to bring a new value: W, this client; Z, another one was told W. X: the value is stale.
func (f *facts) appendLease(b []byte) []byte {
	if f.marks&store.MarkWon != 0 {
		b = append(b, " Z"...)
	}
	if f.marks&store.MarkStale != 0 {
		b = append(b, " X"...)
	}
	if f.won {
		b = append(b, " W"...)
	}
	return b
}
