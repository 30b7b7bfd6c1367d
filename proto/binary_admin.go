package proto

import (
	"encoding/binary"
	"strings"
)

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
	if !w.flush(at) {
		return w.frameDone(f, statusAuth, 0)
	}
	return w.frameDone(f, statusOK, 0)
}

// frameStat is Stat: a reply for each line of the statistics that the key names, and one without key and value.
func frameStat(w *Worker, s *session, f *frame) (int, step) {
	// What this worker counted since the last batch is part of the answer.
	w.tally.publish(w.shared)
	group := string(f.key)
	if w.conn == guest && !guestStatistics[group] {
		return w.frameOverConnections(f)
	}
	if group == "reset" {
		w.resetStats()
		return w.frameDone(f, statusOK, 0)
	}
	if w.countsSizes(group) {
		return w.startFramedWalk(s, sizesWalk(), f)
	}
	if what, ok := strings.CutPrefix(group, "detail "); ok {
		return w.frameDetail(s, f, what)
	}
	if group == "conns" && w.knowsConns() {
		return w.startFramedWalk(s, connsWalk(), f)
	}
	show, ok := statistics[group]
	if !ok {
		return w.frameDone(f, statusNotFound, 0)
	}
	w.framed = true
	show(w)
	w.framed = false
	return w.frameDone(f, statusOK, 0)
}

// frameDetail is Stat with the key "detail on", "detail off" or "detail dump": the reply to the last is one value.
func (w *Worker) frameDetail(s *session, f *frame, what string) (int, step) {
	switch {
	case w.srv.config.Settings.DumpDisabled:
		return w.frameDone(f, statusNotFound, 0)
	case what == "dump":
		return w.startFramedWalk(s, prefixesWalk(), f)
	case !w.detail(what):
		return w.frameDone(f, statusNotFound, 0)
	}
	return w.frameDone(f, statusOK, 0)
}

// startFramedWalk is startWalk for a binary client.
func (w *Worker) startFramedWalk(s *session, k *walk, f *frame) (int, step) {
	k.framed, k.to = true, f.echo
	return w.startWalk(s, k, f.head)
}

// frameStatLine is one line of statistics.
func (w *Worker) frameStatLine(name, value string) {
	name = name[:min(len(name), 1<<16-1)]
	w.room(headerLen)
	w.buf = appendHeader(w.buf, w.frame.echo, statusOK, shape{key: len(name), value: len(value)}, 0)
	w.writeLong(name)
	w.writeLong(value)
}
