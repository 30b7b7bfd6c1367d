package oldtrial

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// CompareOptions says what a comparison compares, and how long it takes.
type CompareOptions struct {
	Subjects  []string        `json:"subjects"` // see ServerOptions; the first is the numerator of all ratios
	Workloads []load.Workload `json:"-"`
	Rounds    int             `json:"rounds"`
	Options
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *CompareOptions) Validate() error {
	switch {
	case len(o.Subjects) < 1:
		return errors.New("no server to compare")
	case len(o.Workloads) == 0:
		return errors.New("no workload")
	}
	seen := make(map[string]bool)
	for _, s := range o.Subjects {
		if seen[s] {
			return fmt.Errorf("server %s is named twice", s)
		}
		seen[s] = true
	}
	return o.validate(o.Rounds, o.Workloads)
}

// Expected estimates how long the comparison takes.
func (o *CompareOptions) Expected() time.Duration {
	trial := o.Duration + o.Warmup + trialTime
	perServer := time.Duration(o.Rounds)*trial + o.countFor()
	return time.Duration(len(o.Subjects)*len(o.Workloads)) * perServer
}

// Progress tells where a comparison is.
type Progress struct {
	Workload *load.Workload
	Round    int // from 1
	Rounds   int
	Done     int // trials of servers that are over
	Total    int
	Last     *Round // the trial that is over just now
	Left     time.Duration
}

// Observer has the callbacks of Compare, which calls them on its own goroutine. Any may be nil.
type Observer struct {
	Begin func(*Report)       // the environment and plan are known
	Trial func(Progress)      // a server's trial is over
	Row   func(r *Comparison) // a workload is over
}

// Compare runs every workload against every server: rounds of one trial each, in an order that rotates from round to round, with a new server process
// for each trial. The report holds what was measured also when the error is not nil: the context ended, or a server cannot be started.
func Compare(ctx context.Context, o CompareOptions, watch Observer) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subjects, err := o.Servers.Subjects(o.Subjects)
	if err != nil {
		return nil, err
	}
	usable, err := o.Cores.Occupy(o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sut.PinProcess(usable) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(o.Threads, 1) + 1))

	c := comparing{options: &o, subjects: subjects, watch: watch, began: time.Now(), report: NewReport("compare", &o)}
	if watch.Begin != nil {
		watch.Begin(c.report)
	}
	for i := range o.Workloads {
		if err = c.workload(ctx, &o.Workloads[i]); err != nil {
			break
		}
	}
	c.report.Finish()
	return c.report, err
}

// comparing is a comparison under way.
type comparing struct {
	options  *CompareOptions
	subjects []sut.Subject
	watch    Observer
	report   *Report
	began    time.Time
	done     int
}

func (c *comparing) workload(ctx context.Context, w *load.Workload) error {
	row := &Comparison{Workload: *w}
	var err error
	for round := 0; round < c.options.Rounds && err == nil; round++ {
		for place := range c.subjects {
			s := &c.subjects[(round+place)%len(c.subjects)]
			if s.Name == sut.Null && !w.SuitsNull() {
				c.done++
				continue
			}
			if err = c.trial(ctx, row, s, round, place); err != nil {
				break
			}
		}
	}
	if len(row.Rounds) > 0 {
		row.Summarise(c.options.Subjects)
		c.report.Comparisons = append(c.report.Comparisons, row)
		if c.watch.Row != nil {
			c.watch.Row(row)
		}
	}
	return err
}

func (c *comparing) trial(ctx context.Context, row *Comparison, s *sut.Subject, round, place int) error {
	t := trial{
		options: &c.options.Options, subject: s, load: row.Workload, count: round == 0,
		seed: c.options.Seed + uint64(round), // the same keys for all servers of a round
	}
	r, in, err := t.run(ctx)
	if err != nil {
		return err
	}
	r.Number, r.Place = round+1, place+1
	c.report.Note(in, r.CPUFrom)
	row.Rounds = append(row.Rounds, r)
	c.done++
	if c.watch.Trial != nil {
		total := len(c.subjects) * len(c.options.Workloads) * c.options.Rounds
		// What is left takes as long as what was planned for it, or as what is over took so far.
		share := float64(total-c.done) / float64(total)
		left := time.Duration(share * float64(c.options.Expected()))
		if c.done >= len(c.subjects) {
			left = time.Since(c.began) * time.Duration(total-c.done) / time.Duration(c.done)
		}
		c.watch.Trial(Progress{
			Workload: &row.Workload, Round: round + 1, Rounds: c.options.Rounds, Done: c.done, Total: total, Last: &r, Left: left,
		})
	}
	return nil
}
