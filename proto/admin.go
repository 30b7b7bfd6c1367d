package proto

import "math"

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
	if at <= w.st.Now() {
		at = 0
	}
	w.st.FlushAll(at)
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

func showVersion(w *Worker, _ *session, r *request) (int, step) {
	w.writeLong(w.srv.version)
	return r.size, stepDone
}

func quit(_ *Worker, _ *session, r *request) (int, step) { return r.size, stepClose }
