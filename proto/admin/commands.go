package admin

import (
	"math"
	"strings"
)

// Request is a command line that package proto has split.
type Request interface {
	// Arg is token i, the command's name being token 0; nil if there is none.
	Arg(i int) []byte
	// Given is how many tokens there are, without a noreply.
	Given() int
	// Uint reads token i as decimal digits of a number of at most limit.
	Uint(i int, limit uint64) (n uint64, ok bool)
	// Int32 reads token i as a number with or without a minus sign.
	Int32(i int) (n int32, ok bool)
	// Quiet says that the client wants no reply.
	Quiet() bool
}

// Replies that several commands give.
const (
	replyEnd       = "END\r\n"
	replyOK        = "OK\r\n"
	replyError     = "ERROR\r\n"
	replyBadFormat = "CLIENT_ERROR bad command line format\r\n"
)

func say(text string) Answer { return Answer{Text: text} }

func refuse(text string) Answer { return Answer{Text: text, Refused: true} }

// Flush makes all items go at the store second at, or now if that has come. False: it is not allowed.
func (w *Worker) Flush(at uint32) bool {
	w.tally.Add(FlushCommands)
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

// maxVerbosity is the highest level that `verbosity` sets.
const maxVerbosity = 2

// Verbosity answers `verbosity <level>`.
func (w *Worker) Verbosity(r Request) string {
	level, ok := r.Uint(1, math.MaxUint32)
	if !ok {
		return replyBadFormat
	}
	w.srv.config.Verbosity.Store(int32(min(level, maxVerbosity)))
	return replyOK
}

const (
	replyLowLimit  = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"
	replyBytes     = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"
	replyNotLimit  = "MEMLIMIT_ADJUST_FAILED "
	lowestLimit    = 8             // MiB
	highestInLimit = 1_000_000_000 // MiB; a larger number was meant to be bytes
)

// CacheMemlimit answers `cache_memlimit <megabytes>`.
func (w *Worker) CacheMemlimit(r Request) string {
	limit, ok := r.Uint(1, math.MaxUint32)
	switch {
	case !ok:
		return replyError
	case limit < lowestLimit:
		return replyLowLimit
	case limit > highestInLimit:
		return replyBytes
	}
	if err := w.st.SetLimit(int64(limit) << 20); err != nil {
		return replyNotLimit + strings.TrimPrefix(err.Error(), "store: ") + "\r\n"
	}
	w.srv.wakeMaintenance()
	return replyOK
}
