package proto

import (
	"bytes"
	"strconv"

	"ringcached/store"
)

// copyMax is the largest value, in bytes with its "\r\n", that is copied into the reply; larger ones are sent from where they lie. A
// copy of this size costs about as much as holding a reference and one more element of the message.
const copyMax = 4096

// getOne answers `get <key>`, a line that begins with "get " and is there whole. 0: it is not of that form; nothing was done.
func (w *Worker) getOne(in []byte) int {
	if !w.ahead.at(len(in)) {
		w.getsAhead(in)
		if w.ahead.n == 0 {
			return 0
		}
	}
	k, hash := w.ahead.take()
	w.fetch(in[len("get "):k.end], hash, 0, 0)
	w.write(replyEnd)
	return k.size
}

// lineEnd is the index behind the line ending that is at p, 0 if there is none.
func lineEnd(in []byte, p int) int {
	switch {
	case p+1 < len(in) && in[p] == '\r' && in[p+1] == '\n':
		return p + 2
	case p < len(in) && in[p] == '\n':
		return p + 1
	}
	return 0
}

// get makes the command get or gets. That a key is there is found out on the way.
func get(flags uint8) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, s *session, r *request) (int, step) {
		return w.multiget(s, r, int(r.args[0].to), session{mode: modeKeys, flags: flags})
	}
}

// getAndTouch makes the command gat or gats.
func getAndTouch(flags uint8) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, s *session, r *request) (int, step) {
		t, ok := parseInt32(r.arg(1))
		if !ok {
			return w.reply(r, replyBadExptime)
		}
		begun := session{mode: modeKeys, flags: flags | flagTouch, arg: uint64(w.expiry(int64(t)))}
		return w.multiget(s, r, int(r.args[2].from), begun)
	}
}

// exptime reads the expiry time of a gat whose line is longer than others may be.
func (w *Worker) exptime(s *session, in []byte) (int, step) {
	from, to := nextToken(in, 0)
	end := bytes.IndexByte(in[from:to], '\n')
	switch {
	case end >= 0:
		return w.endKeys(s, replyBadFormat, from+end+1, modeLine) // and no key
	case to-from > longest32:
		return w.endKeys(s, replyBadExptime, to, modeSkip)
	case to == len(in):
		return from, stepMore
	}
	t, ok := parseInt32(in[from:to])
	if !ok {
		return w.endKeys(s, replyBadExptime, to, modeSkip)
	}
	s.enter(session{mode: modeKeys, flags: s.flags, arg: uint64(w.expiry(int64(t)))})
	return to, stepGo
}

// multiget answers the keys of a line that is there whole, from index p on. A key that is too long spoils the whole command, so it is
// looked for first; a line that is no longer than a key has none.
func (w *Worker) multiget(s *session, r *request, p int, begun session) (int, step) {
	if len(r.line)-p > maxKey && hasLongToken(r.line[p:]) {
		return w.reply(r, replyBadFormat)
	}
	s.enter(begun)
	n, st := w.keys(s, r.in[p:])
	return p + n, st
}

// hasLongToken says whether a token of line is longer than a key may be.
func hasLongToken(line []byte) bool {
	for len(line) > maxKey {
		end := bytes.IndexByte(line, ' ')
		if end < 0 || end > maxKey {
			return true
		}
		line = line[end+1:]
	}
	return false
}

// keys answers the keys of a get, one by one, up to the end of the line. It stops between two keys when the replies are full or the
// input ends, and goes on from there when called again.
func (w *Worker) keys(s *session, in []byte) (int, step) {
	for p := 0; ; {
		for p < len(in) && in[p] == ' ' {
			p++
		}
		if p == len(in) {
			return p, stepMore
		}
		if w.full && in[p] != '\n' && in[p] != '\r' {
			return p, stepYield
		}
		if !w.ahead.at(len(in) - p) {
			w.keysAhead(in[p:])
		}
		if w.ahead.n == 0 {
			if len(in)-p <= maxKey+1 {
				return p, stepMore
			}
			return w.endKeys(s, replyBadFormat, p, modeSkip)
		}
		k, hash := w.ahead.take()
		end := p + k.end
		key, last := in[p:p+k.size], in[end] == '\n'
		switch {
		case len(key) > maxKey && last:
			return w.endKeys(s, replyBadFormat, end+1, modeLine)
		case len(key) > maxKey:
			return w.endKeys(s, replyBadFormat, end, modeSkip)
		case len(key) > 0:
			s.flags |= flagKey
			w.fetch(key, hash, s.flags, uint32(s.arg))
		}
		if last {
			return w.endKeys(s, w.endOfKeys(s), end+1, modeLine)
		}
		p = end
	}
}

// keyEnd is the index of the space or line end behind the key at p, -1 if it is not there yet.
func keyEnd(in []byte, p int) int {
	for {
		p = tokenEnd(in, p)
		if p == len(in) {
			return -1
		}
		if in[p] == ' ' || in[p] == '\n' {
			return p
		}
		p++
	}
}

// endOfKeys is the reply at the end of the line: a long get of nothing but spaces is found out only there.
func (w *Worker) endOfKeys(s *session) string {
	if s.flags&flagKey == 0 {
		return replyBadFormat
	}
	return replyEnd
}

// endKeys ends a get with reply after n bytes. A line that was not read to its end is skipped.
func (w *Worker) endKeys(s *session, reply string, n int, next mode) (int, step) {
	w.write(reply)
	s.enter(session{mode: next})
	return n, stepDone
}

// fetch answers one key: VALUE and the value, or nothing.
func (w *Worker) fetch(key []byte, hash uint64, flags uint8, expiry uint32) {
	if flags&flagTouch == 0 && w.interest == 0 && w.fetchCopy(key, hash, flags) {
		return
	}
	e := w.st.Lock(key, hash)
	w.observeLookup(key, &e, useGet)
	it := e.Item()
	if !it.Valid() {
		w.countMiss(&e, choose(flags&flagTouch != 0, touchMisses, getMisses))
		e.Unlock()
		return
	}
	if flags&flagTouch != 0 {
		e.SetExptime(expiry)
		w.tally.addClass(it.Class(), touchHits)
	} else {
		w.tally.addClass(it.Class(), getHits)
	}
	e.MarkUsed()
	if it.Chained() || it.Len()+2 > copyMax {
		w.st.Retain(it)
		e.Unlock()
		w.refer(it, flags)
		return
	}
	text := w.st.Text(it)
	need := valueRoom(text)
	if cap(w.buf)-len(w.buf) >= need {
		w.copyValue(it, text, flags)
		e.Unlock()
		return
	}
	// Asking for room under the lock would hold up others.
	w.st.Retain(it)
	e.Unlock()
	w.moreRoom(need)
	w.copyValue(it, text, flags)
	w.st.Release(it)
}

// fetchCopy is fetch without a lock. False: the store could not tell.
func (w *Worker) fetchCopy(key []byte, hash uint64, flags uint8) bool {
	switch w.st.TryGet(key, hash, &w.copied) {
	case store.Retry:
		return false
	case store.Miss:
		w.tally.add(getMisses)
		return true
	case store.Hit:
	}
	it := w.copied.Item()
	w.tally.addClass(it.Class(), getHits)
	text := w.st.Text(it)
	w.room(valueRoom(text))
	w.copyValue(it, text, flags)
	return true
}

// valueRoom is how much room copyValue needs. Key and suffix fit in a line; a CAS is a space and 20 digits; room for END saves asking
// again.
func valueRoom(text []byte) int { return len("VALUE ") + len(text) + 1 + maxDigits + len(replyEnd) }

// countMiss counts a get or touch that found nothing, and why.
func (w *Worker) countMiss(e *store.Entry, c counter) {
	w.tally.add(c)
	w.countGone(e)
}

// countGone counts why nothing was found.
func (w *Worker) countGone(e *store.Entry) {
	if e.Expired() {
		w.tally.add(getExpired)
	} else if e.Flushed() {
		w.tally.add(getFlushed)
	}
}

// copyValue writes a small value; the room is there.
func (w *Worker) copyValue(it store.Item, text []byte, flags uint8) {
	b := append(w.buf, "VALUE "...)
	if flags&flagCAS == 0 {
		w.buf = append(b, text...)
		return
	}
	head := len(text) - it.Len() - len("\r\n\r\n")
	b = w.appendCAS(append(b, text[:head]...), it)
	w.buf = append(b, text[head:]...)
}

// refer writes the line of a large value and sends the value from where it lies. The caller's reference goes with the last part.
func (w *Worker) refer(it store.Item, flags uint8) {
	head := w.st.Text(it)[:len(it.Key())+w.st.SuffixLen(it)-len("\r\n")]
	w.room(len("VALUE ") + len(head) + 1 + maxDigits + len("\r\n"))
	b := append(append(w.buf, "VALUE "...), head...)
	if flags&flagCAS != 0 {
		b = w.appendCAS(b, it)
	}
	w.buf = append(b, "\r\n"...)
	w.sendValue(it, it.Len()+2)
}

// sendValue sends the first n bytes, which are not 0, of a value and its "\r\n" from where they lie. The caller's reference goes with
// the last part.
func (w *Worker) sendValue(it store.Item, n int) {
	ref := it.Ref()
	for off := 0; off < n; {
		part := w.st.Segment(it, off)
		part = part[:min(len(part), n-off)]
		off += len(part)
		if off < n {
			w.st.Retain(it)
		}
		w.reference(part, ref)
	}
}

// appendCAS writes what gets shows behind the length.
func (w *Worker) appendCAS(b []byte, it store.Item) []byte {
	return strconv.AppendUint(append(b, ' '), w.casOf(it), 10)
}
