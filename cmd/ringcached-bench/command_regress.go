package main

import (
	"errors"
	"fmt"

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
}

func (p *program) regressCommand() command {
	b := builds{Options: trial.DefaultOptions(false)}
	var o report.RegressOptions
	o.Threshold = 0.05
	var json string
	measured := append([]option{
		{categoryServers, "old-server", "`PATH` of the old ringcached", &b.old, nil},
		{categoryServers, "new-server", "`PATH` of the new ringcached", &b.young, nil},
		{categoryServers, "revisions", "build two revisions `OLD..NEW` of the git repository here; without NEW: HEAD", &b.revisions, nil},
		{categoryLoad, "workload", "only the workload `NAME`, may be repeated", &b.workloads, nil},
		{categoryMeasure, "max-turns", "at most `N` turns of each workload, 0: as many as precision needs", &b.turns, nil},
	}, trialOptions(&b.Options, &trial.Options{})...)
	cmd := command{
		name: "regress", args: "[OLD.json NEW.json]", most: 2, files: []*string{&json}, failure: exitUnusable,
		usage: "report what changed beyond noise between two results, or between two builds of ringcached",
		description: "With two files, results of compare or limits, their samples are compared. With --old-server and --new-server, or --revisions,\n" +
			"two builds are measured side by side, for a minute per workload unless --time says otherwise: slower, and far more exact.\n" +
			"The exit code is 0 if nothing got worse beyond noise and --threshold, 1 if something did, 2 if that cannot be decided, as\n" +
			"when the new servers failed or the new result has less.",
		options: append([]option{
			{"", "threshold", "a change counts from this `PART` on, beside being more than noise", (*percent)(&o.Threshold), nil},
			{"", "force", "compare results of different machines and options too, with warnings, and a new one that has less", &o.Force, nil},
			{"", "json", "write the result to `FILE` too", &json, nil},
		}, measured...),
	}
	cmd.run = func(c *cli.Context) error {
		var result *report.RegressReport
		var err error
		switch paths := b.old != "" || b.young != ""; {
		case c.NArg() == 2 && !paths && b.revisions == "":
			for _, m := range measured {
				if c.IsSet(m.name) {
					return fmt.Errorf("--%s is for the measurement of two builds, not for two files", m.name)
				}
			}
			result, err = report.Regress(c.Args().Get(0), c.Args().Get(1), o)
		case c.NArg() == 0 && b.revisions != "" && !paths:
			result, err = p.compareRevisions(c, &b, o)
		case c.NArg() == 0 && b.revisions == "" && b.old != "" && b.young != "":
			result, err = p.compareBuilds(c, &b, o, b.old, b.young)
		default:
			return errors.New("regress takes two files, or --old-server and --new-server, or --revisions")
		}
		if result == nil {
			return err
		}
		return p.judge(c, json, result, err)
	}
	return cmd
}

// judge prints and writes what changed, and returns what the exit code says of it.
func (p *program) judge(c *cli.Context, json string, result *report.RegressReport, err error) error {
	r := result.Regression
	if len(r.Rows)+len(r.Missing) > 0 {
		report.PrintRegression(p.stdout, r)
	}
	failures := result.Failures()
	for _, line := range r.Doubts {
		failures = append(failures, "undecided: "+line)
	}
	err = p.finish(c.Context, json, result, failures, err)
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

func (p *program) compareBuilds(c *cli.Context, b *builds, o report.RegressOptions, before, after string) (*report.RegressReport, error) {
	if err := o.Validate(); err != nil {
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
	plan := trial.BuildsPlan(before, after, workloads, &b.Servers)
	r, err := p.carryOut(c, "regress", []*trial.Plan{plan}, b.Options, b.turns, true)
	if r == nil {
		return nil, err
	}
	return &report.RegressReport{Report: *r, Regression: report.RegressBuilds(r, before, after, o)}, err
}

// compareRevisions builds two revisions and compares them.
func (p *program) compareRevisions(c *cli.Context, b *builds, o report.RegressOptions) (*report.RegressReport, error) {
	status := p.status()
	built, err := buildRevisions(c.Context, b.revisions, status.show)
	status.clear()
	if err != nil {
		return nil, err
	}
	defer built.remove()
	result, err := p.compareBuilds(c, b, o, built.old.path, built.new.path)
	if result != nil {
		result.Regression.Old, result.Regression.New = built.old.String(), built.new.String()
	}
	return result, err
}
