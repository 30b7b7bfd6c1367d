package proto

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"ringcached/store"
)

// getOne answers `get <key>`, a line that begins with "get " and is there whole, and those of the same form behind it that have been parsed. 0: it is
// not of that form; nothing was done.
func (w *Worker) getOne(in []byte) (n int) {
	if !w.ahead(in, (*Worker).parseGet) {
		return 0
	}
	for {
		k := w.take()
		w.writeOne(in[n+int(k.begin):n+int(k.end)], k, 0, 0)
		w.write(replyEnd)
		if n += int(k.size); !w.another() {
			return n
		}
	}
}

// parseGet parses a request of the form that getOne answers, see parseAhead.
func (w *Worker) parseGet(in []byte) int {
	const begin = len("get ")
	if len(in) < len("get k\n") || binary.LittleEndian.Uint32(in) != wordGet {
		return 0
	}
	end := tokenEnd(in[:min(len(in), begin+maxKey+2)], begin)
	size := lineEnd(in, end)
	if size == 0 || end == begin || end > begin+maxKey {
		return 0
	}
	w.add(in[begin:end], len(in), begin, end, size)
	return size
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

// getKeys makes the command get or gets. That a key is there is found out on the way.
func getKeys(flags uint8) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, s *session, r *request) (int, step) {
		return w.multiget(s, r, int(r.args[0].to), session{mode: modeKeys, flags: flags})
	}
}

// getAndTouchKeys makes the command gat or gats: an expiry time goes before the keys.
func getAndTouchKeys(flags uint8) func(*Worker, *session, *request) (int, step) {
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
		end := bytes.LastIndexByte(line[:maxKey+1], ' ')
		if end < 0 {
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
		if w.parsed.few() || !w.parsed.at(len(in)-p) {
			w.parseAhead(in[p:], aheadMax, (*Worker).parseKey)
			if !w.parsed.at(len(in) - p) {
				if len(in)-p <= maxKey+1 {
					return p, stepMore
				}
				return w.endKeys(s, replyBadFormat, p, modeSkip)
			}
		}
		k := w.take()
		end := p + int(k.size)
		key, last := in[p:p+int(k.end)], in[end] == '\n'
		switch {
		case len(key) > maxKey && last:
			return w.endKeys(s, replyBadFormat, end+1, modeLine)
		case len(key) > maxKey:
			return w.endKeys(s, replyBadFormat, end, modeSkip)
		case len(key) > 0:
			s.flags |= flagKey
			w.writeOne(key, k, s.flags, uint32(s.arg))
		}
		if last {
			return w.endKeys(s, w.endOfKeys(s), end+1, modeLine)
		}
		p = end
	}
}

// parseKey parses a key of a get that has begun and the spaces behind it, see parseAhead.
func (w *Worker) parseKey(in []byte) int {
	end := tokenEnd(in, 0)
	if end == len(in) || in[end] != ' ' {
		if end = keyEnd(in, end); end < 0 {
			return 0
		}
	}
	key, next := in[:end], end
	if in[end] == '\n' {
		key = trimCR(key)
		w.parsed.ended = true
	}
	for next < len(in) && in[next] == ' ' {
		next++
	}
	w.add(key[:min(len(key), maxKey)], len(in), 0, len(key), end)
	return next
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

// writeOne answers one key of a get or gat: VALUE and the value, or nothing.
func (w *Worker) writeOne(key []byte, k *parsedKey, flags uint8, exptime uint32) {
	var f found
	if flags&flagTouch == 0 {
		f = w.get(key, k.hash, &k.approach)
	} else {
		f = w.getAndTouch(key, k.hash, exptime)
	}
	for f.ok() && !w.writeText(f, flags&flagCAS != 0) {
		f = w.getLocked(key, k.hash)
	}
}

// writeText writes the item that was found, and ends the lookup as endLookup does. If what was read does not count nothing was written.
func (w *Worker) writeText(f found, showCAS bool) bool {
	v := &w.view
	var cas uint64
	if showCAS {
		cas = w.shownCAS() // before the lock may go
	}
	if w.isSentByReference(f, len("\r\n")) {
		w.writeHead(w.keep(f).item, showCAS, cas)
		return true
	}
	text := v.Text()
	f = w.roomFor(f, valueRoom(text))
	b := append(w.buf, "VALUE "...)
	if showCAS {
		head := len(text) - v.Len() - len("\r\n\r\n")
		b = appendCAS(append(b, text[:head]...), cas)
		text = text[head:]
	}
	b = append(b, text...)
	if !w.endLookup(f) {
		return false
	}
	w.buf = b
	return true
}

// valueRoom is how much room writeText needs. Key and suffix fit in a line; a CAS is a space and 20 digits; room for END saves asking
// again.
func valueRoom(text []byte) int { return len("VALUE ") + len(text) + 1 + maxDigits + len(replyEnd) }

// writeHead writes the line of a large value, and sends the value from where it lies. The caller's reference goes with the last part.
func (w *Worker) writeHead(it store.Item, showCAS bool, cas uint64) {
	head := w.st.Text(it)[:len(it.Key())+w.st.SuffixLen(it)-len("\r\n")]
	w.room(len("VALUE ") + len(head) + 1 + maxDigits + len("\r\n"))
	b := append(append(w.buf, "VALUE "...), head...)
	if showCAS {
		b = appendCAS(b, cas)
	}
	w.buf = append(b, "\r\n"...)
	w.sendParts(it, it.Len()+2)
}

// appendCAS appends what gets shows behind the length.
func appendCAS(b []byte, cas uint64) []byte { return strconv.AppendUint(append(b, ' '), cas, 10) }
