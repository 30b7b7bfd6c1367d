package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench"
	"ringcached/bench/htmlreport"
)

// experimentList is what the help of `compare` says of the experiments.
func experimentList() string {
	var b strings.Builder
	for _, name := range bench.ExperimentNames() {
		fmt.Fprintf(&b, "  %-18s %s\n", name, bench.ExperimentQuestion(name))
	}
	return b.String()
}

// experimentsOptions turns what the flags of `compare` say into options of experiments.
func (cmd *compareCommand) experimentsOptions(c *cli.Context) (o bench.ExperimentsOptions, err error) {
	o = bench.ExperimentsOptions{
		Names: c.Args().Slice(), Quick: cmd.quick,
		TurnOptions: bench.TurnOptions{Threads: cmd.Threads, Driver: cmd.Driver, Seed: cmd.Seed, Servers: cmd.Servers},
	}
	for _, name := range o.Names {
		if strings.HasPrefix(name, "-") {
			return o, fmt.Errorf("flag %q must come before the experiments", name)
		}
	}
	if engines := cmd.engines.Value(); len(engines) > 0 {
		return o, fmt.Errorf("engine: %q: an experiment has the servers that it is about; --engine needs --workload", engines[0])
	}
	for _, p := range cmd.peers.Value() {
		if !slices.Contains([]string{bench.SubjectMemcached, bench.SubjectNull}, p) { // these take part anyway
			o.Peers = append(o.Peers, p)
		}
	}
	o.Servers.Variants = cmd.variants
	for _, given := range []struct {
		flag string
		take func() bool // reports that it is above 0, which would leave it open
	}{
		{"rounds", func() bool { o.Rounds = cmd.Rounds; return o.Rounds > 0 }},
		{"duration", func() bool { o.Duration = cmd.Duration; return o.Duration > 0 }},
		{"warmup", func() bool { o.Warmup = cmd.Warmup; return o.Warmup > 0 }},
	} {
		if c.IsSet(given.flag) && !given.take() {
			return o, fmt.Errorf("%s: %v is not above 0", given.flag, c.Value(given.flag))
		}
	}
	return o, cmd.starts.resolve(&o.Servers, &o.Cores)
}

func (cmd *compareCommand) experiments(c *cli.Context, stdout, stderr io.Writer) error {
	o, err := cmd.experimentsOptions(c)
	if err != nil {
		return err
	}
	status := newStatus(stderr)
	report, err := bench.Experiments(c.Context, o, bench.ExperimentsObserver{
		Begin:    func(r *bench.Report, expected time.Duration) { bench.PrintExperimentsHeading(stdout, r, expected) },
		Headroom: func(all []bench.Headroom) { bench.PrintHeadroom(stdout, all) },
		Experiment: func(e *bench.Experiment) {
			status.clear()
			bench.PrintExperiment(stdout, e)
		},
		Turn: func(p bench.ExperimentProgress) { status.show(experimentLine(p)) },
		Part: func(p *bench.Part) {
			status.clear()
			bench.PrintPart(stdout, p)
		},
		End: func(e *bench.Experiment) { bench.PrintProblems(stdout, e) },
	})
	status.clear()
	if report == nil {
		return err
	}
	bench.PrintExperimentsEnd(stdout, report)
	err = outcome(c.Context, stdout, report, cmd.json, err)
	if cmd.benchstat != "" {
		err = errors.Join(err, bench.WriteFile(cmd.benchstat, report.Benchstat()))
	}
	if cmd.html != "" && len(report.Experiments) > 0 {
		err = errors.Join(err, htmlreport.Write(cmd.html, report))
	}
	return err
}

// experimentLine tells a turn's outcome and the time left.
func experimentLine(p bench.ExperimentProgress) string {
	return fmt.Sprintf("%s/%s, round %d of %d, %s at %s: %s; %v left", p.Experiment, p.Part, p.Round, p.Rounds, p.Series, p.Point, turnOutcome(p.Last),
		p.Left.Round(time.Second))
}

// turnOutcome tells what a turn gave.
func turnOutcome(r *bench.Round) string {
	what := fmt.Sprintf("%.0f/s", r.PerSecond)
	switch {
	case r.Failed():
		what = "FAILED"
	case r.CPUPerOp > 0:
		what += fmt.Sprintf(", %.3f us CPU/op", r.CPUPerOp)
	}
	return what
}
