package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"ringcached/internal/contract"
	"ringcached/store"
)

// The fixed replies.
const (
	replyEnd        = "END\r\n"
	replyOK         = "OK\r\n"
	replyError      = "ERROR\r\n"
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

// moreRoom commits what was written and reserves new room. It notes in w.full that enough is queued for the connection, which the worker checks
// between requests and between keys.
func (w *Worker) moreRoom(n int) {
	w.commit()
	w.full = w.full || w.out.Full()
	w.buf = w.out.Reserve(n)
}

// commit makes what was written since the last Reserve part of the reply.
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

// copyMax is the largest value, in bytes with its "\r\n", that is copied into the reply; larger ones are sent from the item's memory. A copy of
// this size costs about as much as a reference and one more element of the message.
const copyMax = 4096

// isSentByReference reports whether the value of the item that was found, and more bytes behind it, are sent from the item's memory.
func (w *Worker) isSentByReference(f found, more int) bool {
	return f.hold != holdView && (w.view.Chained() || w.view.Len()+more > copyMax)
}

// roomFor makes sure that n bytes about an item that was found can be appended to w.buf.
func (w *Worker) roomFor(f found, n int) found {
	if cap(w.buf)-len(w.buf) < n {
		f = w.moreRoomFor(f, n)
	}
	return f
}

// roomForView makes sure that n bytes and the value of the item that was found can be appended to w.buf, unless it is locked: then writeValue does.
func (w *Worker) roomForView(f found, n int) {
	if f.hold == holdView {
		w.room(n + w.view.Len() + len("\r\n"))
	}
}

// moreRoomFor asks for room. It would hold up others to do that under a lock: the worker takes a reference to the item and unlocks first.
func (w *Worker) moreRoomFor(f found, n int) found {
	if f.hold == holdLock {
		f = w.keep(f)
	}
	w.moreRoom(n)
	return f
}

// writeValue writes the value of the item that was found behind head, which is in the room at the end of w.buf, and the first more bytes of its
// "\r\n", and ends the lookup as endLookup does. If what was read does not count nothing was written.
func (w *Worker) writeValue(f found, head []byte, more int) bool {
	n := w.view.Len() + more
	if f.hold == holdView {
		b := append(head, w.view.Value()[:n]...) // roomForView asked for the room
		if !w.confirm() {
			return false
		}
		w.buf = b
		return true
	}
	w.buf = head
	switch {
	case n == 0:
	case w.isSentByReference(f, more):
		w.sendParts(w.keep(f).item, n)
		return true
	default:
		f = w.roomFor(f, n)
		w.buf = append(w.buf, w.view.Value()[:n]...)
	}
	w.unhold(f)
	return true
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

// At verbosity 2 every request and every reply is logged, in memcached's words: < is what came, > is what is sent, and the number is the
// connection's descriptor.

// maxTrace is how much of a reply's line is logged.
const maxTrace = 2048

// traces says whether requests are logged now.
func (s *Server) traces() bool { return s.verbosity.Load() >= 2 && s.config.Log != nil }

// traceName is the name of the current connection in the log: its descriptor, or its number here if that is unknown.
func (w *Worker) traceName() string {
	if w.conn == noConnection {
		return "udp"
	}
	if fd := w.descriptor(); fd >= 0 {
		return strconv.Itoa(fd)
	}
	return strconv.FormatUint(uint64(w.conn), 10)
}

// traceText logs text of the connection that is being answered. arrow is < or >.
func (w *Worker) traceText(arrow, text string) {
	w.srv.config.Log("%s%s %s", arrow, w.traceName(), text)
}

// traceConn logs the beginning or the end of a connection.
func (w *Worker) traceConn(conn uint32, text string) {
	if w.srv.traces() {
		w.conn = conn
		w.traceText("<", text)
	}
}

// clientKinds are memcached's words for a connection whose protocol is not known, or is.
var clientKinds = map[Protocol]string{ProtocolAuto: "auto-negotiating", ProtocolText: "ascii", ProtocolBinary: "binary"}

// traceProtocol logs which protocol a client has turned out to speak.
func (w *Worker) traceProtocol(p Protocol) {
	if w.trace {
		w.srv.config.Log("%s: Client using the %s protocol", w.traceName(), clientKinds[p])
	}
}

// traceFrame logs a binary request. The key is there unless the request is refused.
func (w *Worker) traceFrame(f *frame) {
	if !w.trace {
		return
	}
	w.traceText("<", "Read binary protocol data:")
	w.traceHeader("<", "   ", f.in)
	if len(f.key) == 0 {
		return
	}
	text := strings.ToUpper(f.op.name) + " " + string(f.key)
	if f.op.value {
		text += fmt.Sprintf(" Value len is %d", f.valueLen())
	}
	w.traceText("<", text)
}

// traceHeader logs the header of a binary message.
func (w *Worker) traceHeader(arrow, indent string, header []byte) {
	for i := 0; i < headerLen; i += 4 {
		b := header[i : i+4]
		w.traceText(arrow, fmt.Sprintf("%s0x%02x 0x%02x 0x%02x 0x%02x", indent, b[0], b[1], b[2], b[3]))
	}
}

// tracer logs the replies that pass through it, but neither values nor the lines of statistics and dumps.
type tracer struct {
	contract.Replies
	w      *Worker
	room   []byte // what Reserve gave
	begun  []byte // the beginning of a line, or of a header
	values int    // bytes of a value, or of a binary body, that are still to come
}

// begin makes the tracer pass replies on to out.
func (t *tracer) begin(w *Worker, out contract.Replies) contract.Replies {
	*t = tracer{Replies: out, w: w, begun: t.begun[:0]}
	return t
}

func (t *tracer) Reserve(n int) []byte {
	t.room = t.Replies.Reserve(n)
	return t.room
}

func (t *tracer) Commit(n int) {
	t.passed(t.room[:n])
	t.Replies.Commit(n)
}

func (t *tracer) Reference(p []byte, ref uint64) {
	t.passed(p)
	t.Replies.Reference(p, ref)
}

func (t *tracer) passed(p []byte) {
	for len(p) > 0 {
		switch {
		case t.values > 0:
			n := min(t.values, len(p))
			t.values -= n
			p = p[n:]
		case len(t.begun) > 0 && t.begun[0] == magicReply || len(t.begun) == 0 && p[0] == magicReply:
			n := min(headerLen-len(t.begun), len(p))
			t.begun = append(t.begun, p[:n]...)
			p = p[n:]
			t.header()
		default:
			end := bytes.IndexByte(p, '\n')
			n := end + 1
			if end < 0 {
				n = len(p)
			}
			t.begun = append(t.begun, p[:min(n, max(0, maxTrace-len(t.begun)))]...)
			p = p[n:]
			if end >= 0 {
				t.line(string(bytes.TrimRight(t.begun, "\r\n")))
				t.begun = t.begun[:0]
			}
		}
	}
}

// header logs the header of a binary reply once it is whole.
func (t *tracer) header() {
	if len(t.begun) < headerLen {
		return
	}
	if status := binary.BigEndian.Uint16(t.begun[6:]); status != 0 && int(status) < len(statusTexts) {
		t.w.traceText(">", "Writing an error: "+statusTexts[status])
	}
	t.w.traceText(">", "Writing bin response:")
	t.w.traceHeader(">", "  ", t.begun)
	t.values = int(binary.BigEndian.Uint32(t.begun[8:]))
	t.begun = t.begun[:0]
}

// longReplies are the beginnings of lines of which a reply may have thousands.
var longReplies = []string{"STAT ", "PREFIX ", "ITEM ", "key=", "mg "}

// line logs a line of a text reply.
func (t *tracer) line(line string) {
	for _, begin := range longReplies {
		if strings.HasPrefix(line, begin) {
			return
		}
	}
	words := strings.SplitN(line, " ", 5)
	switch {
	case words[0] == "VALUE" && len(words) >= 4:
		t.expect(words[3])
		line = "sending key " + words[1]
	case words[0] == "VA" && len(words) >= 2:
		t.expect(words[1])
	}
	t.w.traceText(">", line)
}

// expect takes the length of the value that comes next.
func (t *tracer) expect(digits string) {
	if n, err := strconv.Atoi(digits); err == nil {
		t.values = n + len("\r\n")
	}
}
