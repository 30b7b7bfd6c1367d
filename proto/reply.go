package proto

import (
	"strings"

	"ringcached/internal/contract"
	"ringcached/store"
)

// The fixed replies.
const (
	replyEnd        = "END\r\n"
	replyOK         = "OK\r\n"
	replyError      = "ERROR\r\n"
	replyReset      = "RESET\r\n"
	replyDeleted    = "DELETED\r\n"
	replyTouched    = "TOUCHED\r\n"
	replyStored     = "STORED\r\n"
	replyNotStored  = "NOT_STORED\r\n"
	replyExists     = "EXISTS\r\n"
	replyNotFound   = "NOT_FOUND\r\n"
	replyBadFormat  = "CLIENT_ERROR bad command line format\r\n"
	replyBadChunk   = "CLIENT_ERROR bad data chunk\r\n"
	replyBadExptime = "CLIENT_ERROR invalid exptime argument\r\n"
	replyBadDelta   = "CLIENT_ERROR invalid numeric delta argument\r\n"
	replyNonNumeric = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	replyNoFlush    = "CLIENT_ERROR flush_all not allowed\r\n"
	replyTooLarge   = "SERVER_ERROR object too large for cache\r\n"
	replyNoMemory   = "SERVER_ERROR out of memory storing object\r\n"
	replyOutOfArith = "SERVER_ERROR out of memory\r\n"
)

// room makes sure that n more bytes can be appended to w.buf. The room is kept from one reply to the next, so that a pipeline of small
// replies costs one Reserve and one Commit.
func (w *Worker) room(n int) {
	if cap(w.buf)-len(w.buf) < n {
		w.moreRoom(n)
	}
}

// moreRoom hands in what was written and asks for new room. This is where it is learnt that the connection has enough queued: full is
// looked at between requests and between keys.
func (w *Worker) moreRoom(n int) {
	w.commit()
	w.full = w.full || w.out.Full()
	w.buf = w.out.Reserve(n)
}

// commit hands in what was written since the last Reserve.
func (w *Worker) commit() {
	if len(w.buf) > 0 {
		w.out.Commit(len(w.buf))
	}
	w.buf = nil
}

// write appends a short reply.
func (w *Worker) write(s string) {
	w.room(len(s))
	w.buf = append(w.buf, s...)
}

// writeUnless appends a short reply, unless the client wants none.
func (w *Worker) writeUnless(quiet bool, s string) {
	if !quiet {
		w.write(s)
	} else if w.trace {
		w.traceText(">", "NOREPLY "+strings.TrimSuffix(s, "\r\n"))
	}
}

// writeLong appends text of any length, piecewise.
func (w *Worker) writeLong(s string) {
	for len(s) > 0 {
		n := min(len(s), contract.ReserveMax/4)
		w.write(s[:n])
		s = s[n:]
	}
}

// reference queues p behind what was written; ref is released when it was sent.
func (w *Worker) reference(p []byte, ref uint64) {
	w.commit()
	w.out.Reference(p, ref)
	w.full = w.full || w.out.Full()
}

// copyMax is the largest value, in bytes with its "\r\n", that is copied into the reply; larger ones are sent from where they lie. A
// copy of this size costs about as much as holding a reference and one more element of the message.
const copyMax = 4096

// isSentByReference says that so many bytes more than the value of an item are not copied into the reply.
func (w *Worker) isSentByReference(f found, more int) bool {
	return f.hold != holdCopy && (f.item.Chained() || f.item.Len()+more > copyMax)
}

// roomFor makes sure that n bytes about an item that was found can be appended to w.buf.
func (w *Worker) roomFor(f found, n int) found {
	if cap(w.buf)-len(w.buf) < n {
		f = w.moreRoomFor(f, n)
	}
	return f
}

// moreRoomFor asks for room. To do that under a lock would hold up others: a reference takes its place.
func (w *Worker) moreRoomFor(f found, n int) found {
	if f.hold == holdLock {
		f = w.keep(f)
	}
	w.moreRoom(n)
	return f
}

// writeValue writes the value of an item that was found, and the first more bytes of its "\r\n", and ends the lookup.
func (w *Worker) writeValue(f found, more int) {
	n := f.item.Len() + more
	switch {
	case n == 0:
	case w.isSentByReference(f, more):
		w.sendParts(w.keep(f).item, n)
		return
	default:
		f = w.roomFor(f, n)
		w.buf = append(w.buf, w.st.Segment(f.item, 0)[:n]...)
	}
	w.endLookup(f)
}

// sendParts sends the first n bytes, which are not 0, of a value and its "\r\n" from where they lie. The caller's reference goes with
// the last part.
func (w *Worker) sendParts(it store.Item, n int) {
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
