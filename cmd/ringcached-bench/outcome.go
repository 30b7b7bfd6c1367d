package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	report "ringcached/bench/oldreport"
)

// canWrite says before anything is measured that results could not be written in the end. Empty paths name no file.
func canWrite(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if err := access(path); err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, err)
		}
	}
	return nil
}

// access says why a file cannot be made at path, or replaced or, if it is a device or a pipe, written to.
func access(path string) error {
	const write, search = 2, 1 // W_OK and X_OK of access(2)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		return syscall.Access(path, write)
	}
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		path = whole
	}
	if err := syscall.Access(filepath.Dir(path), write|search); err != nil {
		return fmt.Errorf("%s: %w", filepath.Dir(path), err)
	}
	return nil
}

// measured is what a command measured.
type measured interface {
	// Failures lists what makes it untrustworthy.
	Failures() []string
}

// measureAndReport runs the measurement of a command with a line of progress on stderr, and prints what it found, if anything. It says before anything is
// measured that the file json could not be written; see outcome for what follows.
func measureAndReport[R any, P interface {
	*R
	measured
}](ctx context.Context, stdout, stderr io.Writer, json string, measure func(*status) (P, error), show func(io.Writer, P)) error {
	if err := canWrite(json); err != nil {
		return err
	}
	progress := newStatus(stderr)
	found, err := measure(progress)
	progress.clear()
	if found == nil {
		return err
	}
	show(stdout, found)
	return outcome(ctx, stdout, found, json, err)
}

// outcome ends a command whose report has been printed: it says so if it was interrupted, writes the report to the file json, if one is
// named, and returns err with whatever failed in the report. To be interrupted is no error.
func outcome(ctx context.Context, stdout io.Writer, result measured, json string, err error) error {
	if ctx.Err() != nil {
		fmt.Fprintln(stdout, "interrupted: these are the results so far")
		err = nil // as asked for
	}
	if json != "" {
		err = errors.Join(err, report.WriteJSON(json, result))
	}
	for _, line := range result.Failures() {
		err = errors.Join(err, errors.New(line))
	}
	return err
}
