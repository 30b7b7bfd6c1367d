package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/report"
	"ringcached/bench/trial"
)

// Exit codes of regress: something got worse, or that cannot be decided.
const (
	exitWorse    = 1
	exitUnusable = 2
)

// builds are the two builds that regress measures.
type builds struct {
	old, young string // paths of them
	revisions  string // or revisions of the repository here
	workloads  list
	turns      int
	trial.Options
	regress report.RegressOptions
}

func (p *program) regressCommand() command {
	b := builds{Options: trial.DefaultOptions(false), regress: report.RegressOptions{Threshold: 0.05}}
	measured := append([]option{
		{"old-server", &b.old}, {"new-server", &b.young}, {"revisions", &b.revisions}, {"workload", &b.workloads},
		{"max-turns", &b.turns},
	}, trialOptions(&b.Options)...)
	return command{
		name: "regress", args: "[OLD.json NEW.json]", most: 2, failure: exitUnusable,
		options: append([]option{
			{"threshold", (*percent)(&b.regress.Threshold)}, {"force", &b.regress.Force},
		}, measured...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			var result *report.RegressReport
			var err error
			switch paths := b.old != "" || b.young != ""; {
			case c.NArg() == 2 && !paths && b.revisions == "":
				for _, m := range measured {
					if c.IsSet(m.name) {
						return nil, fmt.Errorf("--%s is for the measurement of two builds, not for two files", m.name)
					}
				}
				result, err = report.Regress(c.Args().Get(0), c.Args().Get(1), b.regress)
			case c.NArg() == 0 && b.revisions != "" && !paths:
				result, err = p.compareRevisions(c, show, &b)
			case c.NArg() == 0 && b.revisions == "" && b.old != "" && b.young != "":
				result, err = p.compareBuilds(c, show, &b)
			default:
				return nil, errors.New("regress takes two files, or --old-server and --new-server, or --revisions")
			}
			if result == nil {
				return nil, err
			}
			return ofRegression(c, result), err
		},
	}
}

// ofRegression is the outcome of a comparison, whose exit code says what changed.
func ofRegression(c *cli.Context, result *report.RegressReport) *outcome {
	r := result.Regression
	o := &outcome{result: result, failures: result.Failures(), print: func(w io.Writer) {
		if len(r.Rows)+len(r.Missing) > 0 {
			report.PrintRegression(w, r)
		}
	}}
	for _, line := range r.Doubts {
		o.failures = append(o.failures, "undecided: "+line)
	}
	o.last = func(err error) error {
		switch worse := len(r.Worse()); {
		case err != nil:
			return err
		case c.Context.Err() != nil:
			return errors.New("interrupted: these are the results so far")
		case r.Silent():
			return errors.New("too few samples: a comparison needs six or more on each side")
		case worse > 0:
			return exitError{fmt.Errorf("%d of the figures got worse", worse), exitWorse}
		}
		return nil
	}
	return o
}

func (p *program) compareBuilds(c *cli.Context, show func(string), b *builds) (*report.RegressReport, error) {
	if err := b.regress.Validate(); err != nil {
		return nil, err
	}
	if len(b.workloads) == 0 {
		b.workloads = list{load.CommonWorkloads}
	}
	workloads, err := load.SelectWorkloads(b.workloads)
	if err != nil {
		return nil, err
	}
	inTime(c, &b.Options, workloads)
	plan := trial.BuildsPlan(b.old, b.young, workloads, &b.Servers)
	r, err := p.carryOut(c, show, "regress", []*trial.Plan{plan}, b.Options, b.turns, true)
	if r == nil {
		return nil, err
	}
	return &report.RegressReport{Report: *r, Regression: report.RegressBuilds(r, b.old, b.young, b.regress)}, err
}

// compareRevisions builds two revisions and compares them.
func (p *program) compareRevisions(c *cli.Context, show func(string), b *builds) (*report.RegressReport, error) {
	dir, err := os.MkdirTemp("", "ringcached-revisions-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	before, after, err := buildRevisions(c.Context, b.revisions, dir, show)
	if err != nil {
		return nil, err
	}
	b.old, b.young = before.path, after.path
	result, err := p.compareBuilds(c, show, b)
	if result != nil {
		result.Regression.Old, result.Regression.New = before.String(), after.String()
	}
	return result, err
}
