package process

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stuckWriter takes nothing before it is released.
type stuckWriter struct {
	release chan struct{}
	begun   chan struct{}
	once    sync.Once
	bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.begun) })
	<-w.release
	return w.Buffer.Write(p)
}

// TestLogUnread: logging does not wait for the reader. What does not fit is dropped and counted, and the log says where; lines of requests leave
// room for others.
func TestLogUnread(t *testing.T) {
	w := &stuckWriter{release: make(chan struct{}), begun: make(chan struct{})}
	verbosity := new(atomic.Int32)
	verbosity.Store(2)
	l := NewLogger(w, verbosity)
	l.Log(2, "first")
	<-w.begun
	const lines = 20_000
	text := strings.Repeat("x", 90)
	for i := range lines {
		l.Log(2, "%06d %s", i, text)
	}
	dropped := int(l.Dropped.Load())
	if kept := (lines - dropped) * (len(Name) + 2 + 7 + 90 + 1); kept > LogBuffer || kept < LogBuffer/2 {
		t.Errorf("%d bytes are kept, and the room is %d", kept, LogBuffer)
	}
	l.Log(0, "warning")
	l.Log(3, "too talkative")
	l.Flush(time.Millisecond) // and does not wait for ever
	close(w.release)
	l.Flush(time.Hour)
	l.Log(2, "last")
	l.Flush(time.Hour)
	var want strings.Builder
	fmt.Fprintln(&want, "ringcached: first")
	for i := range lines - dropped {
		fmt.Fprintf(&want, "ringcached: %06d %s\n", i, text)
	}
	fmt.Fprintf(&want, "ringcached: %d lines dropped here: nobody reads them as fast as they come\nringcached: warning\nringcached: last\n", dropped)
	if got := w.String(); got != want.String() {
		t.Errorf("%d bytes, want %d; they end with %q", len(got), want.Len(), got[max(0, len(got)-200):])
	}
	if l.queue != nil || l.written != nil {
		t.Error("the logger keeps what it does not need")
	}
}

// TestLogNothing: a line above the verbosity costs nothing.
func TestLogNothing(t *testing.T) {
	l := NewLogger(new(bytes.Buffer), new(atomic.Int32))
	if n := testing.AllocsPerRun(100, func() { l.Log(1, "nothing") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
