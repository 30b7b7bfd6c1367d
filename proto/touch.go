package proto

import (
	"math"
)

// deleteKey answers `delete <key> [noreply]`. More words are forgiven where they do no harm: old clients send a time, 0. For a key that is
// not there, words that are no number are an error, as conformance tests expect.
func deleteKey(w *Worker, _ *session, r *request) (int, step) {
	key := r.arg(1)
	if len(key) > maxKey {
		return w.reply(r, replyBadFormat)
	}
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, useDelete)
	text := replyNotFound
	if it := e.Item(); it.Valid() {
		w.tally.addClass(it.Class(), deleteHits)
		if w.interest != 0 {
			w.observeDelete(it, "delete")
		}
		e.Unlink()
		text = replyDeleted
	} else {
		w.tally.add(deleteMisses)
		if _, ok := parseUint(r.arg(2), math.MaxUint32); r.n > 2 && !ok && !(r.quiet && r.n == 3) {
			text = replyBadFormat
		}
	}
	e.Unlock()
	return w.reply(r, text)
}

// touchKey answers `touch <key> <exptime> [noreply]`.
func touchKey(w *Worker, _ *session, r *request) (int, step) {
	key := r.arg(1)
	if len(key) > maxKey {
		return w.reply(r, replyBadFormat)
	}
	t, ok := parseInt32(r.arg(2))
	if !ok {
		return w.reply(r, replyBadExptime)
	}
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, useChange)
	text := replyNotFound
	if it := e.Item(); it.Valid() {
		w.tally.addClass(it.Class(), touchHits)
		e.SetExptime(w.expiry(int64(t)))
		e.MarkUsed()
		text = replyTouched
	} else {
		w.tally.add(touchMisses)
	}
	e.Unlock()
	return w.reply(r, text)
}
