package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// Read reads a report that [WriteJSON] wrote. What was not in the file is zero. Options are the maps, lists and numbers of
// encoding/json, whatever type they had.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	r, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func parse(text []byte) (*Report, error) {
	var head struct {
		Format *int   `json:"format"`
		Kind   string `json:"kind"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("no result of ringcached-bench, for it is no JSON of that form: %w", err)
	}
	switch {
	case head.Format == nil || head.Kind == "":
		return nil, errors.New("no result of ringcached-bench: it has no format and kind")
	case *head.Format > sut.Format:
		return nil, fmt.Errorf("written by a newer ringcached-bench: its format is %d, this program reads %d", *head.Format, sut.Format)
	case *head.Format != sut.Format:
		return nil, fmt.Errorf("its format is %d, this program reads %d", *head.Format, sut.Format)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("a damaged result: %w", err)
	}
	if slices.Contains(r.Comparisons, nil) || slices.Contains(r.Experiments, nil) || slices.Contains(r.Limits, nil) {
		return nil, errors.New("a damaged result: one of its comparisons, experiments or limits is null")
	}
	r.restore()
	return r, nil
}

// restore sets what is not written because it follows from the rest.
func (r *Report) restore() {
	restoreRounds := func(rounds []trial.Round) {
		for i := range rounds {
			rounds[i].ServerStarted = rounds[i].CPUSeconds > 0 // else its CPU time would be unknown
		}
	}
	for _, c := range r.Comparisons {
		restoreRounds(c.Rounds)
		for _, l := range r.Limits {
			if l.Workload == c.Workload.Name {
				l.Comparison = c
			}
		}
	}
	for _, e := range r.Experiments {
		for p := range e.Parts {
			for s := range e.Parts[p].Series {
				for i := range e.Parts[p].Series[s].Points {
					restoreRounds(e.Parts[p].Series[s].Points[i].Rounds)
				}
			}
		}
	}
}
