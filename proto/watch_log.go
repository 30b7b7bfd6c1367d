package proto

import "time"

// eventLog has what happened on a worker since it last told the watchers. It is the worker's alone.
type eventLog struct {
	text  []byte
	lines []eventLine
	size  int // most bytes of text
}

// eventLine is a line of an eventLog, which ends at end and begins where the one before it ends.
type eventLine struct {
	to  interest
	end int
	id  uint64
}

// add notes an event. A log that is full is emptied first.
func (l *eventLog) add(to *watchers, ev *event) {
	if len(l.text)+eventLineMax > l.size {
		to.hand(l)
	}
	id := to.lastID.Add(1)
	l.text = ev.appendLine(l.text, id, time.Now())
	l.lines = append(l.lines, eventLine{eventForms[ev.kind].to, len(l.text), id})
}
