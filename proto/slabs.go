package proto

import (
	"errors"
	"math"
	"strconv"

	"ringcached/store"
)

const (
	replyNoReassign = "CLIENT_ERROR slab reassignment disabled\r\n"
	replyBadWindow  = "CLIENT_ERROR automove window too low or too high\r\n"
)

// Bounds of what memcached takes as a window, in seconds.
const (
	shortestWindow = 3
	longestWindow  = 1800
)

// reassignReplies are the answers to `slabs reassign` by what the store says.
var reassignReplies = []struct {
	err  error
	text string
}{
	{nil, replyOK},
	{store.ErrMoving, "BUSY currently processing reassign request\r\n"},
	{store.ErrBadClass, "BADCLASS invalid src or dst class id\r\n"},
	{store.ErrNoSpare, "NOSPARE source class has no spare pages\r\n"},
	{store.ErrSameClass, "SAME src and dst class are identical\r\n"},
}

// slabs answers `slabs reassign <from> <to>`, `slabs automove <level>` and what else there is to say about the automover.
func slabs(w *Worker, _ *session, r *request) (int, step) {
	switch name := string(r.arg(1)); {
	case name == "reassign" && r.given() == 4:
		return w.reassign(r)
	case name == "automove" && r.given() >= 3:
		return w.automove(r)
	}
	return w.reply(r, replyError)
}

func (w *Worker) reassign(r *request) (int, step) {
	if !w.srv.config.Settings.SlabReassign {
		return w.reply(r, replyNoReassign)
	}
	from, ok := parseInt32(r.arg(2))
	to, ok2 := parseInt32(r.arg(3))
	if !ok || !ok2 {
		return w.reply(r, replyBadFormat)
	}
	err := w.st.Reassign(int(from), int(to))
	if err == nil || errors.Is(err, store.ErrMoving) {
		w.srv.wakeMaintenance() // to move the page, or to be done with the one that is in the way
	}
	for _, row := range reassignReplies {
		if errors.Is(err, row.err) {
			return w.reply(r, row.text)
		}
	}
	return w.reply(r, replyError)
}

// automove sets the level. What memcached's automover takes besides is checked, and changes nothing: here only the level says how readily
// pages move.
func (w *Worker) automove(r *request) (int, step) {
	value := r.arg(3)
	switch string(r.arg(2)) {
	case "ratio", "freeratio":
		return w.reply(r, choose(isNumber(value), replyOK, replyError))
	case "window":
		return w.reply(r, windowReply(value))
	}
	level, ok := parseUint(r.arg(2), math.MaxUint32)
	switch {
	case !ok:
		return w.reply(r, replyBadFormat)
	case level > store.AutomoveEager:
		return w.reply(r, replyError)
	}
	w.st.SetAutomove(int(level))
	return w.reply(r, replyOK)
}

// windowReply checks the seconds of `slabs automove window <seconds>`.
func windowReply(seconds []byte) string {
	n, ok := parseUint(seconds, math.MaxUint32)
	switch {
	case !ok:
		return replyBadFormat
	case n < shortestWindow || n > longestWindow:
		return replyBadWindow
	}
	return replyOK
}

// isNumber says that b is a number, with or without a fraction.
func isNumber(b []byte) bool {
	_, err := strconv.ParseFloat(string(b), 64)
	return err == nil
}
