package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ringcached/bench/attack"
	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/replay"
	"ringcached/bench/storetest"
)

// Report is a result of any kind, as it is read from a file. What was not measured is empty.
type Report struct {
	trial.Report
	Run        *load.RunResult              `json:"run,omitempty"`
	Store      map[string]*storetest.Result `json:"store,omitempty"` // by the experiment's name
	Attacks    []*attack.Row                `json:"attacks,omitempty"`
	Replay     *replay.Result               `json:"replay,omitempty"`
	Regression *Regression                  `json:"regression,omitempty"`
}

func newReport(kind string, options any) *Report {
	return &Report{Report: *trial.NewReport(kind, options)}
}

// WriteJSON writes a result, which begins with a Header, to a file, all of it or nothing.
func WriteJSON(path string, result any) error {
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return WriteFile(path, append(text, '\n'))
}

// WriteFile writes a file that everybody may read, all of it or nothing: a file of that name is replaced when the new one is whole. What is
// there and no regular file, such as a device or a pipe, is written to instead.
func WriteFile(path string, text []byte) error {
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		path = whole
	}
	if info, err := os.Stat(path); err == nil && (!info.Mode().IsRegular() || isOutput(info)) {
		return writeTo(path, text)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename there is nothing of that name
	_, err = f.Write(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// isOutput reports that a file is what this program prints to: /dev/stdout may be one.
func isOutput(file os.FileInfo) bool {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if info, err := f.Stat(); err == nil && os.SameFile(info, file) {
			return true
		}
	}
	return false
}

// writeTo writes to what is there, behind what is in it.
func writeTo(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
