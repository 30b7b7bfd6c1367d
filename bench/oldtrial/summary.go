package oldtrial

import (
	"fmt"
	"slices"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Comparison is what one workload gave.
type Comparison struct {
	Workload  load.Workload `json:"workload"`
	Summaries []Summary     `json:"summaries"`
	// Ratios are of server CPU per operation: the first server over each other one. There is none to or from a server whose load was the limit.
	Ratios []Ratio `json:"cpu_per_op_ratios"`
	Rounds []Round `json:"rounds"`
}

// Summary is one server's part of a Comparison: medians over the rounds that did not fail, and that the load did not limit unless it is LoadBound.
type Summary struct {
	Server     string            `json:"server"`
	Rounds     int               `json:"rounds"`
	Failed     int               `json:"failed"`
	Saturated  int               `json:"saturated"`            // rounds that the load limited
	Retried    int               `json:"retried,omitempty"`    // trials that were repeated since the load limited them, for no reason that is known
	Overloaded int               `json:"overloaded,omitempty"` // rounds whose rate was too much for the server
	Lost       int64             `json:"lost,omitempty"`       // requests, in all rounds
	PerSecond  float64           `json:"ops_per_second"`
	CPUPerOp   float64           `json:"server_cpu_us_per_op"` // 0: unknown
	Busy       float64           `json:"server_core_busy"`
	LoadBusy   float64           `json:"load_busy"`
	P50        float64           `json:"p50_us"`
	P99        float64           `json:"p99_us"`
	Steal      float64           `json:"steal"`   // the worst round's
	Foreign    float64           `json:"foreign"` // the worst round's
	Syscalls   *sut.SyscallCount `json:"syscalls,omitempty"`
	FirstError string            `json:"first_error,omitempty"`
}

func (c *Comparison) Summarise(servers []string) {
	for _, s := range servers {
		c.Summaries = append(c.Summaries, summaryOf(s, c.Of(s)))
	}
	for _, other := range servers[1:] {
		if c.loadBound(servers[0]) || c.loadBound(other) {
			continue
		}
		if r := CompareRounds(servers[0], other, c.Of(servers[0]), c.Of(other), cpuPerOp); r != nil {
			c.Ratios = append(c.Ratios, *r)
		}
	}
}

// Of are the trials of a server.
func (c *Comparison) Of(server string) (trials []Round) {
	for i := range c.Rounds {
		if c.Rounds[i].Server == server {
			trials = append(trials, c.Rounds[i])
		}
	}
	return trials
}

// summaryOf sums up the trials of one server.
func summaryOf(server string, rounds []Round) Summary {
	s := Summary{Server: server, Rounds: len(rounds)}
	var good []*Round
	for i := range rounds {
		r := &rounds[i]
		if r.Syscalls != nil {
			s.Syscalls = r.Syscalls
		}
		if r.Failed() {
			s.Failed++
			if s.FirstError == "" {
				s.FirstError = r.FirstError()
			}
			continue
		}
		if r.Saturated() {
			s.Saturated++
		}
		if r.Overloaded() {
			s.Overloaded++
		}
		s.Lost += r.Lost
		s.Steal = max(s.Steal, r.ServerCore.Steal, r.LoadCore.Steal)
		s.Foreign = max(s.Foreign, r.Foreign)
		good = append(good, r)
	}
	if !s.LoadBound() {
		good = slices.DeleteFunc(good, (*Round).Saturated)
	}
	if len(good) > 0 {
		of := func(quantity func(*Round) float64) float64 {
			var all []float64
			for _, r := range good {
				all = append(all, quantity(r))
			}
			return Median(all)
		}
		s.PerSecond, s.CPUPerOp = of(func(r *Round) float64 { return r.PerSecond }), of(cpuPerOp)
		s.Busy, s.LoadBusy = of(func(r *Round) float64 { return r.ServerCore.Busy }), of(func(r *Round) float64 { return r.LoadBusy })
		s.P50, s.P99 = of(func(r *Round) float64 { return r.Latency.P50 }), of(func(r *Round) float64 { return r.Latency.P99 })
	}
	return s
}

// TooMany reports that fewer than two thirds of a point's rounds are valid, too few for figures. The others may have been
// disturbed by what else the machine and its host did.
func TooMany(unusable, rounds int) bool { return 3*unusable > rounds }

// LoadBound reports that the load was the limit in so many rounds, or in so many trials that were repeated too, that the others are no answer
// either.
func (s *Summary) LoadBound() bool {
	return TooMany(s.Saturated, s.Rounds) || s.Saturated > 0 && 2*(s.Saturated+s.Retried) > s.Rounds+s.Retried || s.Retried > s.Rounds
}

// noFigures says so of a row that is LoadBound, and why.
func (s *Summary) noFigures() string {
	again := ""
	if s.Retried > 0 {
		again = fmt.Sprintf(", and in %s that were made again", tables.Plural(s.Retried, "trial"))
	}
	return fmt.Sprintf("no figures: the load was the limit in %d of %d rounds%s, not the server", s.Saturated, s.Rounds, again)
}

// loadBound reports that a server's row is.
func (c *Comparison) loadBound(server string) bool {
	return slices.ContainsFunc(c.Summaries, func(s Summary) bool { return s.Server == server && s.LoadBound() })
}

// Overwhelmed reports that the rate was too much for the server in so many rounds that latencies only tell how long the rounds were.
func (s *Summary) Overwhelmed() bool { return TooMany(s.Overloaded, s.Rounds) }

// FirstError says in a line what went wrong in a failed round.
func (r *Round) FirstError() string {
	switch {
	case len(r.Problems) > 0:
		return r.Problems[0]
	case r.Operations == 0:
		return "no operations"
	}
	return fmt.Sprintf("%d wrong replies, %d error replies, %d broken connections", r.Wrong, r.Refused, r.Broken)
}

// Verdict says in words what a ratio of CPU per operation means.
func (r *Ratio) Verdict() string {
	switch {
	case len(r.Rounds) < 2:
		return "one round only: no statement"
	case !r.Certain():
		return "within noise"
	case r.Mean < 1:
		return fmt.Sprintf("%.0f %% less CPU", 100*(1-r.Mean))
	}
	return fmt.Sprintf("%.0f %% more CPU", 100*(r.Mean-1))
}
