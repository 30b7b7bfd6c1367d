package oldtrial

import (
	"fmt"

	"ringcached/bench/sut"
)

// Report is the result of a comparison, of experiments or of limits; what was not measured is empty.
type Report struct {
	sut.Header
	Comparisons []*Comparison `json:"comparisons,omitempty"`
	Headroom    []Headroom    `json:"headroom,omitempty"`
	Experiments []*Experiment `json:"experiments,omitempty"`
	Limits      []*LimitRow   `json:"limits,omitempty"`
	Idle        *Idle         `json:"idle,omitempty"`
}

// NewReport begins a report of a kind; the options are written as they are.
func NewReport(kind string, options any) *Report {
	return &Report{Header: sut.NewHeader(kind, options)}
}

// Failures lists what makes the report untrustworthy: one line for each server and workload with failed rounds, or without figures as the load was
// the limit. That canned replies come faster than the load can take them is none; limits and regressions judge the rounds themselves.
func (r *Report) Failures() (lines []string) {
	for _, c := range r.Comparisons {
		for _, s := range c.Summaries {
			if s.Failed > 0 {
				lines = append(lines, fmt.Sprintf("%s, %s: %d of %d rounds failed: %s", c.Workload.Name, s.Server, s.Failed, s.Rounds, s.FirstError))
			} else if r.Kind == "compare" && s.LoadBound() && s.Server != sut.Null {
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
