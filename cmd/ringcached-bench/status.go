package main

import (
	"fmt"
	"io"
	"os"
)

// status shows what happens: one line that changes on a terminal, a line each elsewhere.
type status struct {
	w        io.Writer
	terminal bool
	shown    bool
}

func newStatus(w io.Writer) *status {
	s := &status{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

const clearLine = "\r\x1b[K"

func (s *status) show(line string) {
	if s.terminal {
		fmt.Fprint(s.w, clearLine+line)
		s.shown = true
		return
	}
	fmt.Fprintln(s.w, line)
}

// stage shows what begins, or nothing.
func (s *status) stage(what string) {
	if what == "" {
		s.clear()
	} else {
		s.show(what)
	}
}

// clear removes the line, so that results can be written in its place.
func (s *status) clear() {
	if s.shown {
		fmt.Fprint(s.w, clearLine)
		s.shown = false
	}
}
