package proto

import (
	"encoding/binary"
	"math"

	"ringcached/store"
)

// resultStatus are the statuses for how a command ended.
var resultStatus = [numResults]status{
	done:           statusOK,
	notStored:      statusNotStored,
	exists:         statusExists,
	notFound:       statusNotFound,
	nonNumeric:     statusNonNumeric,
	tooLarge:       statusTooLarge,
	noMemory:       statusNoMemory,
	noMemoryToGrow: statusNoMemory,
	noMemoryToMake: statusNoMemory,
}

// What the get operations differ in.
const (
	getKey     uint8 = 1 << iota // the reply has the key
	getTouch                     // the extras are a new expiry
	getNoValue                   // the reply has no value
)

// flagsLen is the length of the client's flags, which a value's reply has as extras.
const flagsLen = 4

// frameGet makes Get, Touch, and what is between them.
func frameGet(how uint8) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, _ *session, f *frame) (int, step) {
		w.room(headerLen + flagsLen + maxKey) // asking for room under the lock would hold up others
		hash := w.st.Hash(f.key)
		var found found
		switch {
		case how&getTouch == 0:
			found = w.get(f.key, hash)
		case how&getNoValue == 0:
			found = w.getAndTouch(f.key, hash, w.frameExpiry(f.extras))
		default:
			found = w.touchShown(f.key, hash, w.frameExpiry(f.extras))
		}
		if found.item.Valid() {
			w.frameHit(found, f, how)
		} else {
			w.frameMiss(f, how)
		}
		return f.head, stepDone
	}
}

// frameExpiry is the expiry time at the beginning of b.
func (w *Worker) frameExpiry(b []byte) uint32 { return w.expiry(int64(binary.BigEndian.Uint32(b))) }

// frameMiss replies that nothing was found: with the key, if that was asked for, in place of a text.
func (w *Worker) frameMiss(f *frame, how uint8) {
	switch {
	case f.op.quiet:
	case how&getKey != 0:
		b := appendHeader(w.buf, f.echo, statusNotFound, shape{key: len(f.key)}, 0)
		w.buf = append(b, f.key...)
	default:
		w.frameError(f.echo, statusNotFound)
	}
}

// frameHit replies with what was found, and ends the lookup.
func (w *Worker) frameHit(found found, f *frame, how uint8) {
	it := found.item
	sh := shape{extras: flagsLen, value: it.Len()}
	if how&getKey != 0 {
		sh.key = len(f.key)
	}
	if how&getNoValue != 0 {
		sh.value = 0
	}
	b := appendHeader(w.buf, f.echo, statusOK, sh, w.casOf(it))
	b = binary.BigEndian.AppendUint32(b, it.Flags())
	w.buf = append(b, f.key[:sh.key]...)
	if how&getNoValue == 0 {
		w.writeValue(found, 0)
	} else {
		w.endLookup(found)
	}
}

// frameStore makes an operation that stores a value, which is taken by upload or swallow.
func frameStore(v verb) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, s *session, f *frame) (int, step) {
		n := f.valueLen()
		next := session{mode: modeUpload, verb: v, flags: flagBinary, arg: w.comparable(f.cas), tag: f.opaque, slot: uint32(f.opcode)}
		if f.op.quiet {
			next.flags |= flagQuiet
		}
		a := announced{key: f.key, size: n, came: len(f.in) - f.head, verb: v, drop: v == verbSet}
		if v != verbAppend && v != verbPrepend {
			a.flags, a.exptime = binary.BigEndian.Uint32(f.extras), w.frameExpiry(f.extras[4:])
			if next.arg != 0 {
				next.verb = verbCAS
			}
		}
		it, res := w.beginStore(&a)
		if res != done {
			w.frameError(f.echo, resultStatus[res])
			if n > 0 {
				s.enter(session{mode: modeSwallow, left: uint32(n)})
			}
			return f.head, stepDone
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

// frameStored ends an upload. The caller's reference is used up.
func (w *Worker) frameStored(s *session, it store.Item) {
	writeInto(w, it, it.Len(), "\r\n")
	r := w.store(it, s.storing())
	st := resultStatus[r.result]
	if r.result == notStored {
		switch s.verb {
		case verbAdd:
			st = statusExists
		case verbReplace:
			st = statusNotFound
		}
	}
	if st == statusOK && s.quiet() {
		return
	}
	w.frameReply(s.echo(), st, statusTexts[st], r.cas)
}

// frameDelete is Delete: only of the item with the request's CAS, if that has one.
func frameDelete(w *Worker, _ *session, f *frame) (int, step) {
	res := w.remove(&removal{key: f.key, compares: f.cas != 0, compare: f.cas})
	return w.frameDone(f, resultStatus[res], 0)
}

// noInitial as the expiry of Increment and Decrement says that a number that is not there is not to be made.
const noInitial = math.MaxUint32

// frameArithmetic makes Increment or Decrement. The extras are delta, initial value and expiry.
func frameArithmetic(up bool) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, _ *session, f *frame) (int, step) {
		a := w.arithmetic(&arithmetic{
			key: f.key, up: up, delta: binary.BigEndian.Uint64(f.extras), compare: f.cas, initial: binary.BigEndian.Uint64(f.extras[8:]),
			create: binary.BigEndian.Uint32(f.extras[16:]) != noInitial, fresh: w.frameExpiry(f.extras[16:]),
		})
		if a.result != done || f.op.quiet {
			return w.frameDone(f, resultStatus[a.result], 0)
		}
		w.room(headerLen + 8)
		b := appendHeader(w.buf, f.echo, statusOK, shape{value: 8}, a.cas)
		w.buf = binary.BigEndian.AppendUint64(b, a.value)
		return f.head, stepDone
	}
}
