package process

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// LogFunc logs one line. A message of level 0 is always logged, one of level n
// when -v was given n times or more. It may be called from any goroutine, and never
// waits for the reader of the lines.
type LogFunc = func(level int, format string, args ...any)

// Name is what lines of the log begin with.
const Name = "ringcached"

const (
	LogBuffer      = 512 << 10 // bytes of lines that wait to be written, beside those that are being written
	logReserve     = 64 << 10  // more of them for lines of levels 0 and 1, which requests and replies do not crowd out
	FlushTime      = time.Second
	StartFlushTime = 10 * time.Second // at the start, when a user waits for the lines
)

// Logger writes lines to w by a goroutine that is there only while there are lines: w may be a pipe that nobody reads, or a file on a slow
// disk. What does not fit into LogBuffer is dropped, and the next line that does fit says so. Time stamps are left to whatever collects stderr.
type Logger struct {
	w         io.Writer
	Verbosity *atomic.Int32 // may change at any time: the command `verbosity` does that
	Dropped   atomic.Uint64 // lines

	mu      sync.Mutex
	queue   []byte        // lines that wait
	missing uint64        // lines dropped behind those in the queue
	written chan struct{} // closed when all lines are written; nil: none is waiting
}

// NewLogger returns a logger of lines up to a verbosity, which may change at any time.
func NewLogger(w io.Writer, verbosity *atomic.Int32) *Logger {
	return &Logger{w: w, Verbosity: verbosity}
}

// Log is a logFunc.
func (l *Logger) Log(level int, format string, args ...any) {
	if level > int(l.Verbosity.Load()) {
		return
	}
	line := append(fmt.Appendf([]byte(Name+": "), format, args...), '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.missing > 0 {
		line = append(fmt.Appendf(nil, "%s: %s dropped here: nobody reads them as fast as they come\n", Name, countOf(l.missing)), line...)
	}
	room := LogBuffer
	if level < 2 {
		room += logReserve
	}
	if len(l.queue)+len(line) > room {
		l.missing++
		l.Dropped.Add(1)
		return
	}
	l.missing = 0
	l.queue = append(l.queue, line...)
	if l.written == nil {
		l.written = make(chan struct{})
		go l.write(l.written)
	}
}

// write writes all lines that wait, and those that come meanwhile.
func (l *Logger) write(written chan struct{}) {
	defer close(written)
	for {
		l.mu.Lock()
		lines := l.queue
		l.queue = nil
		if len(lines) == 0 {
			l.written = nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		_, _ = l.w.Write(lines) // there is nowhere to report a failure
	}
}

// Flush waits until the lines that have been logged are written, but not for longer than limit.
func (l *Logger) Flush(limit time.Duration) {
	l.mu.Lock()
	written := l.written
	l.mu.Unlock()
	if written == nil {
		return
	}
	select {
	case <-written:
	case <-time.After(limit):
	}
}

func countOf(lines uint64) string {
	if lines == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", lines)
}
