package proto

// deleteKey answers `delete <key> [noreply]`. More words are ignored: old clients send a time, 0.
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
		w.countMiss(&e, touchMisses)
	}
	e.Unlock()
	return w.reply(r, text)
}
