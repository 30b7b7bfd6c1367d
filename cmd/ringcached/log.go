package main

import (
	"io"
	"log"
	"sync/atomic"
)

// logFunc logs one line. A message of level 0 is always printed, one of level n
// when -v was given n times or more. It may be called from any goroutine.
type logFunc = func(level int, format string, args ...any)

// newLog returns a logFunc that writes to w. verbosity may change while it is in
// use (the command `verbosity` does that). Time stamps are left to whatever
// collects stderr.
func newLog(w io.Writer, verbosity *atomic.Int32) logFunc {
	logger := log.New(w, appName+": ", 0)
	return func(level int, format string, args ...any) {
		if level <= int(verbosity.Load()) {
			logger.Printf(format, args...)
		}
	}
}
