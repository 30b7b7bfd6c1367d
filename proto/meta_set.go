package proto

import (
	"strconv"

	"ringcached/store"
)

// setFlags are the flags that the reply of ms goes by; meta.pack has room for four.
var setFlags = lettersOf("ckOs")

// setModes are the modes of ms by their letters, 0 for none.
var setModes = [256]struct {
	known bool
	verb  verb
}{
	0: {true, verbSet}, 'S': {true, verbSet}, 'E': {true, verbAdd}, 'A': {true, verbAppend}, 'P': {true, verbPrepend}, 'R': {true, verbReplace},
}

// metaSet answers the line of `ms <key> <bytes> <flags>*`. The value is taken by upload or swallow.
func metaSet(w *Worker, s *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	from, p := nextToken(r.line, p)
	n, ok := parseLength(r.line[from:p])
	if !ok {
		// How much to swallow is not known: what follows is read as commands.
		return w.refuseMeta(r, replyBadFormat)
	}
	text := w.readFlags(r.line, p, 3, setFlags)
	mode := setModes[m.mode]
	switch {
	case m.garbled:
		return w.refuseMeta(r, text)
	case text != "":
	case !mode.known:
		text = replyBadSetMode
	case len(m.opaque) > maxOpaque:
		text = replyLongOpaque
	}
	if text != "" {
		return w.refuse(s, r, n, text)
	}
	return w.beginMetaSet(s, r, mode.verb, n)
}

// beginMetaSet makes the item that a value of n bytes goes into.
func (w *Worker) beginMetaSet(s *session, r *request, v verb, n int) (int, step) {
	m := &w.meta
	next := session{mode: modeUpload, verb: v, flags: flagMeta, tag: m.pack()}
	exptime := m.exptime
	switch v {
	case verbAppend, verbPrepend:
		next.arg, exptime = w.comparable(m.compare), m.vivify
		if m.has('N') {
			next.flags |= flagVivify
		}
	case verbSet, verbReplace:
		if !m.has('C') {
			break
		}
		next.verb, next.arg = verbCAS, m.compare
		if m.has('I') {
			next.flags |= flagStale
		}
	}
	if m.has('q') {
		next.flags |= flagQuiet
	}
	var it store.Item
	var err error
	if w.choosesCAS() && m.own != 0 {
		it, err = w.st.BeginCAS(m.key, m.client, exptime, n, w.evidence(n, len(r.in)-r.size), m.own)
	} else {
		it, err = w.st.Begin(m.key, m.client, exptime, n, w.evidence(n, len(r.in)-r.size))
	}
	if err != nil {
		text := w.noRoom(err, m.key, next.verb, n)
		w.drop(m.key) // whatever the mode
		return w.refuse(s, r, n, text)
	}
	if m.has('b') {
		it.SetMarks(store.MarkBinary)
	}
	next.item = it.Ref()
	if m.has('O') {
		next.slot = w.opaques.keep(m.opaque)
	}
	s.enter(next)
	return r.size, stepGo
}

// finishMeta ends an upload of ms. The caller's reference is used up.
func (w *Worker) finishMeta(s *session, it store.Item) {
	if !w.endsInCRLF(it) {
		w.opaques.drop(s.slot)
		w.st.Release(it)
		w.write(replyBadChunk)
		return
	}
	w.st.Retain(it) // its key may be shown
	d := w.put(s, it)
	if d.outcome != stored || s.flags&flagQuiet == 0 {
		w.answerSet(s, it, &d)
	}
	w.st.Release(it)
	w.opaques.drop(s.slot)
}

// answerSet replies to ms. it is what was sent.
func (w *Worker) answerSet(s *session, it store.Item, d *deed) {
	w.room(metaReplyMax)
	b := append(w.buf, outcomeCodes[d.outcome]...)
	for shown := s.tag; shown != 0; shown >>= 8 {
		switch byte(shown) {
		case 'k':
			b = appendKey(append(b, " k"...), it.Key(), isBinary(it))
		case 'O':
			b = append(append(b, " O"...), w.opaques.of(s.slot)...)
		case 'c':
			b = strconv.AppendUint(append(b, " c"...), d.cas, 10)
		case 's':
			b = strconv.AppendUint(append(b, " s"...), uint64(d.size), 10)
		}
	}
	w.buf = append(b, "\r\n"...)
}

// opaque is what a client wants to read in the reply to an ms.
type opaque struct {
	n    uint8
	text [maxOpaque]byte
}

// opaques keep the opaques of the ms commands whose values have not arrived, of which there are few at a time.
type opaques struct {
	all  []opaque
	free []uint32 // slots that are not in use
}

// keep copies text and gives the slot that it is kept in, which is not 0. An empty one needs none: 0.
func (o *opaques) keep(text []byte) (slot uint32) {
	if len(text) == 0 {
		return 0
	}
	if n := len(o.free); n > 0 {
		slot, o.free = o.free[n-1], o.free[:n-1]
	} else {
		o.all = append(o.all, opaque{})
		slot = uint32(len(o.all))
	}
	k := &o.all[slot-1]
	k.n = uint8(copy(k.text[:], text))
	return slot
}

// of is the text in a slot.
func (o *opaques) of(slot uint32) []byte {
	if slot == 0 {
		return nil
	}
	k := &o.all[slot-1]
	return k.text[:k.n]
}

// drop gives a slot back.
func (o *opaques) drop(slot uint32) {
	if slot != 0 {
		o.free = append(o.free, slot)
	}
}
