package admin

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

// reassignReplies are the replies to `slabs reassign` by what the store returns.
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

// Slabs answers `slabs reassign <from> <to>`, `slabs automove <level>` and the other settings of memcached's automover.
func (w *Worker) Slabs(r Request) string {
	switch name := string(r.Arg(1)); {
	case name == "reassign" && r.Given() == 4:
		return w.reassign(r)
	case name == "automove" && r.Given() >= 3:
		return w.automove(r)
	}
	return replyError
}

func (w *Worker) reassign(r Request) string {
	if !w.srv.config.Settings.SlabReassign {
		return replyNoReassign
	}
	from, ok := r.Int32(2)
	to, ok2 := r.Int32(3)
	if !ok || !ok2 {
		return replyBadFormat
	}
	err := w.st.Reassign(int(from), int(to))
	if err == nil || errors.Is(err, store.ErrMoving) {
		w.srv.wakeMaintenance() // to move the page, or to finish the move that is in the way
	}
	for _, row := range reassignReplies {
		if errors.Is(err, row.err) {
			return row.text
		}
	}
	return replyError
}

// automove sets the level, which alone says how readily pages move here. It checks the other settings of memcached's automover, which change
// nothing.
func (w *Worker) automove(r Request) string {
	value := r.Arg(3)
	switch string(r.Arg(2)) {
	case "ratio", "freeratio":
		return choose(isNumber(value), replyOK, replyError)
	case "window":
		return windowReply(r)
	}
	level, ok := r.Uint(2, math.MaxUint32)
	switch {
	case !ok:
		return replyBadFormat
	case level > store.AutomoveEager:
		return replyError
	}
	w.st.SetAutomove(int(level))
	return replyOK
}

// windowReply checks the seconds of `slabs automove window <seconds>`.
func windowReply(r Request) string {
	n, ok := r.Uint(3, math.MaxUint32)
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

const (
	replyLargePercents = "ERROR hot and warm pcts must not exceed 80\r\n"
	replyLowFactors    = "ERROR hot/warm age factors must be greater than 0\r\n"
)

// LRU answers `lru tune`, `lru mode` and `lru temp_ttl`, which tune the segments of memcached's queues. The store has no such segments, so LRU
// checks the arguments and changes nothing.
func (w *Worker) LRU(r Request) string {
	switch name := string(r.Arg(1)); {
	case name == "tune" && r.Given() >= 6:
		return tuneReply(r)
	case name == "mode" && r.Given() >= 3:
		mode := string(r.Arg(2))
		return choose(mode == "flat" || mode == "segmented", replyOK, replyError)
	case name == "temp_ttl" && r.Given() >= 3:
		_, ok := r.Int32(2)
		return choose(ok, replyOK, replyError)
	}
	return replyError
}

// tuneReply checks `lru tune <hot percent> <warm percent> <hot factor> <warm factor>`.
func tuneReply(r Request) string {
	hot, ok := r.Uint(2, math.MaxUint32)
	warm, ok2 := r.Uint(3, math.MaxUint32)
	hotFactor, err := strconv.ParseFloat(string(r.Arg(4)), 64)
	warmFactor, err2 := strconv.ParseFloat(string(r.Arg(5)), 64)
	switch {
	case !ok || !ok2 || err != nil || err2 != nil:
		return replyError
	case hot+warm > 80:
		return replyLargePercents
	case !(hotFactor > 0) || !(warmFactor > 0):
		return replyLowFactors
	}
	return replyOK
}
