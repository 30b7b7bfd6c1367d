package proto

import (
	"math"
	"strconv"
)

const (
	replyLargePercents = "ERROR hot and warm pcts must not exceed 80\r\n"
	replyLowFactors    = "ERROR hot/warm age factors must be greater than 0\r\n"
)

// lru answers `lru tune`, `lru mode` and `lru temp_ttl`, which tune the segments of memcached's queues. There are none here, so that their
// arguments are checked and change nothing.
func lru(w *Worker, _ *session, r *request) (int, step) {
	switch name := string(r.arg(1)); {
	case name == "tune" && r.given() >= 6:
		return w.reply(r, tuneReply(r))
	case name == "mode" && r.given() >= 3:
		mode := string(r.arg(2))
		return w.reply(r, choose(mode == "flat" || mode == "segmented", replyOK, replyError))
	case name == "temp_ttl" && r.given() >= 3:
		_, ok := parseInt32(r.arg(2))
		return w.reply(r, choose(ok, replyOK, replyError))
	}
	return w.reply(r, replyError)
}

// tuneReply checks `lru tune <hot percent> <warm percent> <hot factor> <warm factor>`.
func tuneReply(r *request) string {
	hot, ok := parseUint(r.arg(2), math.MaxUint32)
	warm, ok2 := parseUint(r.arg(3), math.MaxUint32)
	hotFactor, err := strconv.ParseFloat(string(r.arg(4)), 64)
	warmFactor, err2 := strconv.ParseFloat(string(r.arg(5)), 64)
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
