package proto

import "encoding/binary"

func frameVersion(w *Worker, _ *session, f *frame) (int, step) {
	w.frameReply(f.echo, statusOK, w.srv.config.Version, 0)
	return f.head, stepDone
}

// frameNoop ends a series of quiet requests: the replies are not held back for more.
func frameNoop(w *Worker, _ *session, f *frame) (int, step) {
	w.frameReply(f.echo, statusOK, "", 0)
	return f.head, stepFlush
}

func frameQuit(w *Worker, _ *session, f *frame) (int, step) {
	n, _ := w.frameDone(f, statusOK, 0)
	return n, stepClose
}

// frameFlush is Flush, with the second at which it is to happen or without.
func frameFlush(w *Worker, _ *session, f *frame) (int, step) {
	if w.conn == guest {
		return w.frameOverConnections(f)
	}
	var at uint32
	if f.extrasLen > 0 {
		at = w.expiry(int64(binary.BigEndian.Uint32(f.extras)))
	}
	if !w.admin.Flush(at) {
		return w.frameDone(f, statusAuth, 0)
	}
	return w.frameDone(f, statusOK, 0)
}

// opcodeStat is the opcode of Stat, the only binary request that can have a long reply.
const opcodeStat = 0x10

// frameStat is Stat: a reply for each line of the statistics that the key names, and one without key and value. The reply to "detail dump" is
// one value.
func frameStat(w *Worker, s *session, f *frame) (int, step) {
	group := string(f.key)
	if w.conn == guest && !guestStatistics[group] {
		return w.frameOverConnections(f)
	}
	w.framed = true
	a := w.admin.Stats(group)
	w.framed = false
	w.interest = w.srv.admin.Interest() // "detail on" counts what follows in this call too
	switch {
	case a.Refused:
		return w.frameDone(f, statusNotFound, 0)
	case a.Long:
		s.enter(session{mode: modeLongReply, flags: flagBinary, tag: f.opaque, slot: a.Slot})
		return f.head - 1, stepGo
	}
	return w.frameDone(f, statusOK, 0)
}

// frameStatLine is one line of statistics.
func (w *Worker) frameStatLine(name, value []byte) {
	name = name[:min(len(name), 1<<16-1)]
	w.room(headerLen)
	w.buf = appendHeader(w.buf, w.frame.echo, statusOK, shape{key: len(name), value: len(value)}, 0)
	adminReplies{w}.Text(name)
	adminReplies{w}.Text(value)
}
