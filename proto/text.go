package proto

import (
	"bytes"
	"encoding/binary"
)

// The first four bytes of the commands that are most of all traffic, as one number.
var (
	wordGet = binary.LittleEndian.Uint32([]byte("get "))
	wordSet = binary.LittleEndian.Uint32([]byte("set "))
)

// text answers the request at the beginning of in. Gets of one key and sets that arrived whole are recognised by their first four
// bytes and parsed in one pass; whatever is not exactly of that form goes the general way.
func (w *Worker) text(s *session, in []byte) (int, step) {
	if len(in) >= len("get k\n") && !w.trace {
		switch binary.LittleEndian.Uint32(in) {
		case wordGet:
			if n := w.getOne(in); n > 0 {
				return n, stepDone
			}
		case wordSet:
			if n := w.setWhole(in); n > 0 {
				return n, stepDone
			}
		}
	}
	return w.line(s, in)
}

// line answers any command line.
func (w *Worker) line(s *session, in []byte) (int, step) {
	end := bytes.IndexByte(in[:min(len(in), MaxLine)], '\n')
	if end < 0 {
		return longLine(s, in)
	}
	r := &w.req
	r.in, r.line, r.size, r.quiet = in, trimCR(in[:end]), end+1, false
	if w.trace {
		w.traceText("<", string(r.line))
	}
	if r.size < 4 {
		if w.conn == guest {
			return r.size, stepBreak
		}
		w.write(replyBadFormat)
		return r.size, stepDone
	}
	c := r.command()
	if c == nil {
		return w.unknown(r)
	}
	if r.n < c.min {
		w.write(replyBadFormat)
		return r.size, stepDone
	}
	r.quiet = c.quiet && string(r.lastArg()) == "noreply"
	return c.run(w, s, r)
}

// command finds the line's command and splits the line for it. A name behind spaces is one of few.
func (r *request) command() *command {
	name := bytes.IndexByte(r.line, ' ')
	if name < 0 {
		name = len(r.line)
	}
	c := find(r.line[:name])
	if c != nil && c.keys {
		r.n, r.args[0] = 1, span{0, uint16(name)}
		return c
	}
	r.split()
	if c == nil && name == 0 {
		if c = find(r.arg(0)); c != nil && c.padded {
			return c
		}
		return nil
	}
	return c
}

// unknown answers a line that begins with no command's name. A web browser, or somebody who makes one talk to us, is cut off, and a datagram
// may be another server's reply.
func (w *Worker) unknown(r *request) (int, step) {
	if w.conn == guest || r.n > 1 && bytes.HasPrefix(r.lastArg(), []byte("HTTP/")) {
		return r.size, stepBreak
	}
	w.writeUnless(r.n > 0 && string(r.lastArg()) == "noreply", replyError)
	return r.size, stepDone
}

// longLine is for input without a line's end. Beyond MaxLine only the keys of a get or gat may go on, which are then answered one by one.
func longLine(s *session, in []byte) (int, step) {
	switch {
	case len(in) < MaxLine:
		return 0, stepMore
	case bytes.HasPrefix(in, []byte("get ")):
		s.enter(session{mode: modeKeys})
		return len("get "), stepGo
	case bytes.HasPrefix(in, []byte("gets ")):
		s.enter(session{mode: modeKeys, flags: flagCAS})
		return len("gets "), stepGo
	case bytes.HasPrefix(in, []byte("gat ")):
		s.enter(session{mode: modeExptime, flags: flagTouch})
		return len("gat "), stepGo
	case bytes.HasPrefix(in, []byte("gats ")):
		s.enter(session{mode: modeExptime, flags: flagTouch | flagCAS})
		return len("gats "), stepGo
	}
	return 0, stepBreak
}

// swallow passes over a value that was refused.
func (w *Worker) swallow(s *session, in []byte) (int, step) {
	n := min(len(in), int(s.left))
	s.left -= uint32(n)
	if s.left == 0 {
		w.arrived()
		s.rest()
	}
	return n, stepGo
}

// skipLine passes over the rest of a line.
func (w *Worker) skipLine(s *session, in []byte) (int, step) {
	end := bytes.IndexByte(in, '\n')
	if end < 0 {
		return len(in), stepMore
	}
	w.arrived()
	s.rest()
	return end + 1, stepGo
}

// reply answers a request, unless it asked for no reply.
func (w *Worker) reply(r *request, text string) (int, step) {
	w.writeUnless(r.quiet, text)
	return r.size, stepDone
}
