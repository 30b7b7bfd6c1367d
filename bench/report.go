package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Report is a whole result, as it is written to a file.
type Report struct {
	Format      int                    `json:"format"` // reportFormat
	Kind        string                 `json:"kind"`   // compare, run, store, limits, replay, regress or attack
	Began       time.Time              `json:"began"`
	Seconds     float64                `json:"seconds"`
	Interrupted bool                   `json:"interrupted,omitempty"` // experiments, or turns of them, are missing
	Environment Environment            `json:"environment"`
	Options     any                    `json:"options"`
	Servers     map[string]Server      `json:"servers,omitempty"`
	Comparisons []*Comparison          `json:"comparisons,omitempty"`
	Headroom    []Headroom             `json:"headroom,omitempty"`
	Experiments []*Experiment          `json:"experiments,omitempty"`
	Limits      []*LimitRow            `json:"limits,omitempty"`
	Attacks     []*AttackRow           `json:"attacks,omitempty"`
	Idle        *Idle                  `json:"idle,omitempty"`
	Run         *RunResult             `json:"run,omitempty"`
	Replay      *ReplayResult          `json:"replay,omitempty"`
	Regression  *Regression            `json:"regression,omitempty"`
	Store       map[string]StoreResult `json:"store,omitempty"` // by the experiment's name
}

// Server is what is known of a server that took part.
type Server struct {
	Version string `json:"version"`
	Command string `json:"command,omitempty"`
	CPUFrom string `json:"cpu_time_from,omitempty"`
}

func newReport(kind string, options any) *Report {
	return &Report{Format: reportFormat, Kind: kind, Began: time.Now(), Environment: ReadEnvironment(), Options: options, Servers: make(map[string]Server)}
}

func (r *Report) finish() { r.Seconds = time.Since(r.Began).Seconds() }

// note keeps what is known of a server when it is first seen.
func (r *Report) note(in *instance, round *Round) {
	if _, ok := r.Servers[in.name]; !ok {
		r.Servers[in.name] = Server{Version: in.version, Command: in.command(), CPUFrom: round.cpuFrom}
	}
}

// Failures lists what makes the report untrustworthy: one line for each server and workload with failed rounds, or without figures as the load was
// the limit. That canned replies come faster than the load can take them is none; limits and regressions judge by themselves what is worth something.
func (r *Report) Failures() (lines []string) {
	for _, c := range r.Comparisons {
		for _, s := range c.Summaries {
			if s.Failed > 0 {
				lines = append(lines, fmt.Sprintf("%s, %s: %d of %d rounds failed: %s", c.Workload.Name, s.Server, s.Failed, s.Rounds, s.FirstError))
			} else if r.Kind == "compare" && s.LoadBound() && s.Server != SubjectNull {
				lines = append(lines, fmt.Sprintf("%s, %s: %s", c.Workload.Name, s.Server, s.noFigures()))
			}
		}
	}
	for _, e := range r.Experiments {
		for i := range e.Parts {
			for _, line := range e.Parts[i].failures(false) {
				lines = append(lines, e.Name+"/"+e.Parts[i].Name+", "+line)
			}
		}
	}
	return lines
}

// WriteJSON writes the report to a file, all of it or nothing.
func (r *Report) WriteJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
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
