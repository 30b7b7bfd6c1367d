package proto

import (
	"encoding/base64"
	"strconv"

	"ringcached/store"
)

// metaNoop answers `mn`. It is for clients that ask quietly: everything before it has been answered when its reply is read, so the
// replies are not held back for more.
func metaNoop(w *Worker, _ *session, r *request) (int, step) {
	w.tally.add(metaCommands)
	w.write(replyNoop)
	return r.size, stepFlush
}

// metaDebug answers `me <key> [b]`: what is known about an item, which is not an access. Other flags mean nothing.
func metaDebug(w *Worker, _ *session, r *request) (int, step) {
	m := &w.meta
	p := w.readKey(r)
	if len(m.token) == 0 || len(m.token) > maxKey {
		return w.refuseMeta(r, replyBadFormat)
	}
	for from, to := nextToken(r.line, p); from < to; from, to = nextToken(r.line, to) {
		c := r.line[from]
		if !canBeFlag(c) {
			return w.refuseMeta(r, replyBadFormat)
		}
		if c == 'b' && !readBinaryKey(w, nil) {
			return w.refuseMeta(r, replyBadKey)
		}
	}
	w.room(metaReplyMax)
	e := w.st.Lock(m.key, w.st.Hash(m.key))
	w.observeLookup(m.key, &e, useChange)
	if it := e.Item(); it.Valid() {
		w.buf = w.appendDebug(w.buf, it)
	} else {
		w.buf = append(w.buf, "EN\r\n"...)
	}
	e.Unlock()
	return r.size, stepDone
}

func (w *Worker) appendDebug(b []byte, it store.Item) []byte {
	b = append(b, "ME "...)
	if isBinary(it) {
		b = base64.StdEncoding.AppendEncode(b, it.Key())
	} else {
		b = append(b, it.Key()...)
	}
	b = w.appendTTL(append(b, " exp="...), it.Exptime())
	b = strconv.AppendUint(append(b, " la="...), uint64(w.st.Now()-min(w.st.Now(), it.LastAccess())), 10)
	b = strconv.AppendUint(append(b, " cas="...), w.casOf(it), 10)
	b = append(append(b, " fetch="...), choose(it.Fetched(), "yes", "no")...)
	b = strconv.AppendUint(append(b, " cls="...), uint64(it.Class()), 10)
	b = strconv.AppendUint(append(b, " size="...), uint64(w.sizeOf(it)), 10)
	return append(b, "\r\n"...)
}

// sizeOf is the size of an item in bytes as memcached counts it.
func (w *Worker) sizeOf(it store.Item) int { return w.st.SizeOf(it) }
