package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"

	"ringcached/bench"
)

// canWrite says before anything is measured that results could not be written in the end. Empty paths name no file.
func canWrite(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		// W_OK and X_OK of access(2): files may be made there
		if err := syscall.Access(filepath.Dir(path), 0b011); err != nil {
			return fmt.Errorf("%s cannot be written: %s: %w", path, filepath.Dir(path), err)
		}
	}
	return nil
}

// outcome ends a command whose report has been printed: it says so if it was interrupted, writes the report to the file json, if one is
// named, and returns err with whatever failed in the report. To be interrupted is no error.
func outcome(ctx context.Context, stdout io.Writer, report *bench.Report, json string, err error) error {
	if ctx.Err() != nil {
		fmt.Fprintln(stdout, "interrupted: these are the results so far")
		err = nil // as asked for
	}
	if json != "" {
		err = errors.Join(err, report.WriteJSON(json))
	}
	for _, line := range report.Failures() {
		err = errors.Join(err, errors.New(line))
	}
	return err
}
