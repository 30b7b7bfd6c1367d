package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// output remembers that something could not be printed, since results that nobody sees are none.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(text []byte) (n int, err error) {
	if n, err = o.to.Write(text); err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// status shows what happens: one line that changes on a terminal, a line each elsewhere.
type status struct {
	w        io.Writer
	terminal bool
	shown    bool
}

func (p *program) status() *status {
	s := &status{w: p.stderr}
	if f, ok := p.stderr.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

const clearLine = "\r\x1b[K"

// show shows a line in place of the last one, or nothing, so that results can be written there.
func (s *status) show(line string) {
	switch {
	case s.terminal && (s.shown || line != ""):
		fmt.Fprint(s.w, clearLine+line)
	case line != "":
		fmt.Fprintln(s.w, line)
	}
	s.shown = line != ""
}

// canWrite says before anything is measured that a file could not be made at path in the end, or replaced or, if it is a device or a pipe, written
// to. An empty path names no file.
func canWrite(path string) error {
	const write, search = 2, 1 // W_OK and X_OK of access(2)
	info, err := os.Stat(path)
	switch {
	case path == "":
		return nil
	case err == nil && info.IsDir():
		err = errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		err = syscall.Access(path, write)
	default:
		whole, lerr := filepath.EvalSymlinks(path)
		if lerr != nil {
			whole = path
		}
		if err = syscall.Access(filepath.Dir(whole), write|search); err != nil {
			err = fmt.Errorf("%s: %w", filepath.Dir(whole), err)
		}
	}
	if err != nil {
		err = fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return err
}
