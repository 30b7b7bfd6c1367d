package proto

import "time"

// eventLog has what happened on a worker in one batch. It is the worker's alone; at the end of the batch the watchers are told.
type eventLog struct {
	text    []byte
	lines   []eventLine
	size    int // most bytes of text
	dropped uint64
}

// eventLine is a line of an eventLog, which ends at end and begins where the one before it does.
type eventLine struct {
	to  interest
	end int
	id  uint64
}

// add notes an event, if there is room and somebody who watches for it.
func (l *eventLog) add(to *watchers, ev *event) {
	if len(l.text)+eventLineMax > l.size {
		l.dropped++
		return
	}
	id := to.lastID.Add(1)
	l.text = ev.appendLine(l.text, id, time.Now())
	l.lines = append(l.lines, eventLine{eventForms[ev.kind].to, len(l.text), id})
}

// empty says that there is nothing to tell.
func (l *eventLog) empty() bool { return len(l.lines) == 0 && l.dropped == 0 }

// reset empties the log for the next batch.
func (l *eventLog) reset() { l.text, l.lines, l.dropped = l.text[:0], l.lines[:0], 0 }
