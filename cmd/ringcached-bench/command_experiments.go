package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	htmlreport "ringcached/bench/oldhtmlreport"

	report "ringcached/bench/oldreport"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// experimentList is what the help of `compare` says of the experiments.
func experimentList() string {
	var b strings.Builder
	for _, name := range trial.ExperimentNames() {
		fmt.Fprintf(&b, "  %-18s %s\n", name, trial.ExperimentQuestion(name))
	}
	return b.String()
}

// experimentsOptions turns what the flags of `compare` say into options of experiments.
func (cmd *compareCommand) experimentsOptions(c *cli.Context) (o trial.ExperimentsOptions, err error) {
	o = trial.ExperimentsOptions{
		Names: c.Args().Slice(), Quick: cmd.quick,
		Options: trial.Options{Threads: cmd.Threads, Driver: cmd.Driver, Seed: cmd.Seed, Servers: cmd.Servers},
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
		if !slices.Contains([]string{sut.Memcached, sut.Null}, p) { // these take part anyway
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
	result, err := trial.Experiments(c.Context, o, trial.ExperimentsObserver{
		Begin:    func(r *trial.Report, expected time.Duration) { trial.PrintExperimentsHeading(stdout, r, expected) },
		Headroom: func(all []trial.Headroom) { trial.PrintHeadroom(stdout, all) },
		Experiment: func(e *trial.Experiment) {
			status.clear()
			trial.PrintExperiment(stdout, e)
		},
		Trial: func(p trial.ExperimentProgress) { status.show(experimentLine(p)) },
		Part: func(p *trial.Part) {
			status.clear()
			trial.PrintPart(stdout, p)
		},
		End: func(e *trial.Experiment) { trial.PrintProblems(stdout, e) },
	})
	status.clear()
	if result == nil {
		return err
	}
	trial.PrintExperimentsEnd(stdout, result)
	err = outcome(c.Context, stdout, result, cmd.json, err)
	if cmd.benchstat != "" {
		err = errors.Join(err, report.WriteFile(cmd.benchstat, result.Benchstat()))
	}
	if cmd.html != "" && len(result.Experiments) > 0 {
		err = errors.Join(err, htmlreport.Write(cmd.html, result))
	}
	return err
}

// experimentLine tells a trial's outcome and the time left.
func experimentLine(p trial.ExperimentProgress) string {
	return fmt.Sprintf("%s/%s, round %d of %d, %s at %s: %s; %v left", p.Experiment, p.Part, p.Round, p.Rounds, p.Series, p.Point, trialOutcome(p.Last),
		p.Left.Round(time.Second))
}

// trialOutcome tells what a trial gave.
func trialOutcome(r *trial.Round) string {
	what := fmt.Sprintf("%.0f/s", r.PerSecond)
	switch {
	case r.Failed():
		what = "FAILED"
	case r.CPUPerOp > 0:
		what += fmt.Sprintf(", %.3f us CPU/op", r.CPUPerOp)
	}
	return what
}
