package proto

import (
	"encoding/binary"
	"math"
)

// noInitial as the expiry of Increment and Decrement says that a number that is not there is not to be made.
const noInitial = math.MaxUint32

// countStatus are the statuses for the ends of a count.
var countStatus = [numCountEnds]status{
	countDone:       statusOK,
	countMissing:    statusNotFound,
	countExists:     statusExists,
	countNonNumeric: statusNonNumeric,
	countNoMemory:   statusNoMemory,
	countNoNew:      statusNoMemory,
}

// frameCount makes Increment or Decrement. The extras are delta, initial value and expiry.
func frameCount(up bool) func(*Worker, *session, *frame) (int, step) {
	return func(w *Worker, _ *session, f *frame) (int, step) {
		c := sum{up: up, delta: binary.BigEndian.Uint64(f.extras), compare: f.cas}
		exptime := binary.BigEndian.Uint32(f.extras[16:])
		e := w.st.Lock(f.key, w.st.Hash(f.key))
		w.observeLookup(f.key, &e, useChange)
		value, end := w.count(&e, &c)
		if end == countMissing {
			if exptime == noInitial {
				w.countMissed(up)
			} else if value = binary.BigEndian.Uint64(f.extras[8:]); w.newNumber(&e, f.key, w.expiry(int64(exptime)), value, &c) {
				end = countDone
			} else {
				end = countNoNew
			}
		}
		var cas uint64
		if end == countDone {
			cas = w.casOf(e.Item())
		}
		e.Unlock()
		if end != countDone || f.op.quiet {
			return w.frameDone(f, countStatus[end], 0)
		}
		w.room(headerLen + 8)
		b := appendHeader(w.buf, f.echo, statusOK, shape{value: 8}, cas)
		w.buf = binary.BigEndian.AppendUint64(b, value)
		return f.head, stepDone
	}
}
