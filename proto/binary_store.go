package proto

import (
	"encoding/binary"
	"errors"

	"ringcached/store"
)

// outcomeStatus is the status for an outcome of a storage operation. What could not be stored differs.
var outcomeStatus = [numOutcomes]status{stored: statusOK, notStored: statusNotStored, exists: statusExists, notFound: statusNotFound}

// frameStore makes an operation that stores a value, which is taken by upload or swallow.
func frameStore(v verb) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, s *session, f *frame) (int, step) {
		n := f.valueLen()
		next := session{mode: modeUpload, verb: v, flags: flagBinary, arg: w.comparable(f.cas), tag: f.opaque, slot: uint32(f.opcode)}
		if f.op.quiet {
			next.flags |= flagQuiet
		}
		var flags, exptime uint32
		if v != verbAppend && v != verbPrepend {
			flags, exptime = binary.BigEndian.Uint32(f.extras), w.expiry(int64(binary.BigEndian.Uint32(f.extras[4:])))
			if next.arg != 0 {
				next.verb = verbCAS
			}
		}
		it, err := w.st.Begin(f.key, flags, exptime, n, w.evidence(n, len(f.in)-f.head))
		if err != nil {
			return w.refuseFrame(s, f, v, err)
		}
		next.item = it.Ref()
		s.enter(next)
		if n == 0 {
			w.finish(s, it)
			return f.head, stepDone
		}
		return f.head, stepGo
	}
}

// refuseFrame replies to a value that gets no memory, and passes over it.
func (w *Worker) refuseFrame(s *session, f *frame, v verb, err error) (int, step) {
	w.noRoom(err, f.key, v, f.valueLen())
	if v == verbSet {
		w.drop(f.key)
	}
	w.frameError(f.echo, choose(errors.Is(err, store.ErrTooLarge), statusTooLarge, statusNoMemory))
	if n := f.valueLen(); n > 0 {
		s.enter(session{mode: modeSwallow, left: uint32(n)})
	}
	return f.head, stepDone
}

// stored replies to an upload that has ended.
func (w *Worker) stored(s *session, d deed) {
	st := outcomeStatus[d.outcome]
	if d.outcome == notStored {
		switch s.verb {
		case verbAdd:
			st = statusExists
		case verbReplace:
			st = statusNotFound
		}
	}
	if st == statusOK && s.flags&flagQuiet != 0 {
		return
	}
	w.frameReply(s.echo(), st, statusTexts[st], d.cas)
}

// frameDelete is Delete: only of the item with the request's CAS, if that has one.
func frameDelete(w *Worker, _ *session, f *frame) (int, step) {
	e := w.st.Lock(f.key, w.st.Hash(f.key))
	w.observeLookup(f.key, &e, useDelete)
	st := statusOK
	switch it := e.Item(); {
	case !it.Valid():
		w.tally.add(deleteMisses)
		st = statusNotFound
	case f.cas != 0 && w.casOf(it) != f.cas:
		st = statusExists
	default:
		w.tally.addClass(it.Class(), deleteHits)
		e.Unlink()
	}
	e.Unlock()
	return w.frameDone(f, st, 0)
}
