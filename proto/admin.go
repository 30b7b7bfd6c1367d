package proto

import (
	"math"
	"strings"
)

// maxVerbosity is the highest level that `verbosity` sets.
const maxVerbosity = 2

// flushAll answers `flush_all [delay] [noreply]`. A delay that is not positive means now.
func flushAll(w *Worker, _ *session, r *request) (int, step) {
	var at uint32
	if r.n > 2 || r.n == 2 && !r.quiet {
		t, ok := parseInt32(r.arg(1))
		if !ok && !w.srv.config.Settings.FlushDisabled {
			w.tally.add(flushCommands)
			return w.reply(r, replyBadExptime)
		}
		if t > 0 {
			at = w.expiry(int64(t))
		}
	}
	return w.reply(r, choose(w.flush(at), replyOK, replyNoFlush))
}

// flush makes everything go at the store second at, or now if that has come. False: it is not allowed.
func (w *Worker) flush(at uint32) bool {
	w.tally.add(flushCommands)
	if w.srv.config.Settings.FlushDisabled {
		return false
	}
	if at > w.st.Now() {
		w.st.FlushAll(at)
		return true
	}
	w.st.FlushAll(0)
	w.srv.wakeMaintenance() // to free what was flushed
	return true
}

// setVerbosity answers `verbosity <level> [noreply]`.
func setVerbosity(w *Worker, _ *session, r *request) (int, step) {
	level, ok := parseUint(r.arg(1), math.MaxUint32)
	if !ok {
		return w.reply(r, replyBadFormat)
	}
	w.srv.verbosity.Store(int32(min(level, maxVerbosity)))
	return w.reply(r, replyOK)
}

const (
	replyLowLimit  = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"
	replyBytes     = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"
	replyNotLimit  = "MEMLIMIT_ADJUST_FAILED "
	replyNoStop    = "SERVER_ERROR: shutdown not enabled\r\n"
	replyStopMode  = "CLIENT_ERROR invalid shutdown mode\r\n"
	lowestLimit    = 8             // MiB
	highestInLimit = 1_000_000_000 // MiB; what is above was meant to be bytes
)

// cacheMemlimit answers `cache_memlimit <megabytes> [noreply]`.
func cacheMemlimit(w *Worker, _ *session, r *request) (int, step) {
	limit, ok := parseUint(r.arg(1), math.MaxUint32)
	switch {
	case !ok:
		return w.reply(r, replyError)
	case limit < lowestLimit:
		return w.reply(r, replyLowLimit)
	case limit > highestInLimit:
		return w.reply(r, replyBytes)
	}
	if err := w.st.SetLimit(int64(limit) << 20); err != nil {
		return w.reply(r, replyNotLimit+strings.TrimPrefix(err.Error(), "store: ")+"\r\n")
	}
	w.srv.wakeMaintenance()
	return w.reply(r, replyOK)
}

// shutdown answers `shutdown [graceful]`. The server finishes what is in flight either way.
func shutdown(w *Worker, _ *session, r *request) (int, step) {
	stop := w.srv.config.Shutdown
	graceful := string(r.arg(1)) == "graceful"
	switch {
	case stop == nil:
		return w.reply(r, replyNoStop)
	case r.n > 2 || r.n == 2 && !graceful:
		return w.reply(r, replyStopMode)
	}
	stop(graceful)
	return r.size, stepClose
}

func showVersion(w *Worker, _ *session, r *request) (int, step) {
	w.writeLong(w.srv.version)
	return r.size, stepDone
}

func quit(_ *Worker, _ *session, r *request) (int, step) { return r.size, stepClose }
