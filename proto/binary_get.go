package proto

import (
	"encoding/binary"

	"ringcached/store"
)

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
		if how&getTouch == 0 && w.interest == 0 && w.frameGetCopy(f, hash, how) {
			return f.head, stepDone
		}
		e := w.st.Lock(f.key, hash)
		w.observeLookup(f.key, &e, choose(how&getNoValue != 0, useChange, useGet))
		it := e.Item()
		if !it.Valid() {
			w.countMiss(&e, choose(how&getTouch != 0, touchMisses, getMisses))
			e.Unlock()
			w.frameMiss(f, how)
			return f.head, stepDone
		}
		if how&getTouch != 0 {
			e.SetExptime(w.expiry(int64(binary.BigEndian.Uint32(f.extras))))
			w.tally.addClass(it.Class(), touchHits)
		} else {
			w.tally.addClass(it.Class(), getHits)
		}
		e.MarkUsed()
		w.frameHit(&e, it, f, how)
		return f.head, stepDone
	}
}

// frameGetCopy is Get without a lock. False: the store could not tell.
func (w *Worker) frameGetCopy(f *frame, hash uint64, how uint8) bool {
	switch w.st.TryGet(f.key, hash, &w.copied) {
	case store.Hit:
		it := w.copied.Item()
		w.tally.addClass(it.Class(), getHits)
		w.frameHit(nil, it, f, how)
		return true
	case store.Miss:
		w.tally.add(getMisses)
		w.frameMiss(f, how)
		return true
	default:
		return false
	}
}

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

// frameHit replies with it, the item that e has, and unlocks e; or with w's copy of an item, without an entry.
func (w *Worker) frameHit(e *store.Entry, it store.Item, f *frame, how uint8) {
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
	switch {
	case sh.value > 0:
		w.sendAndUnlock(e, it, sh.value)
	case e != nil:
		e.Unlock()
	}
}
