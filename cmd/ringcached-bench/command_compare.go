package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/report"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

func (p *program) compareCommand() command {
	o, quick := trial.DefaultOptions(false), trial.DefaultOptions(true)
	var workloads, engines, peers list
	var json, benchstat, html string
	var turns int
	aa := true
	cmd := command{
		name: "compare", args: "[EXPERIMENT...]", most: 1000, quick: true, files: []*string{&json, &benchstat, &html},
		usage:       "start ringcached's engines and others, side by side on a core, and compare what operations cost them",
		description: aboutCompare(),
		options: append([]option{
			{categoryLoad, "workload", "compare the workload `NAME` instead of running experiments, may be repeated", &workloads, nil},
			{categoryMeasure, "aa", "a second process of the first server takes part", &aa, nil},
			{categoryMeasure, "max-turns", "at most `N` turns at each point, 0: as many as precision needs", &turns, nil},
			{categoryMeasure, "json", "write everything measured to `FILE`", &json, nil},
			{categoryMeasure, "benchstat", "write the samples to `FILE`, for benchstat", &benchstat, nil},
			{categoryMeasure, "html", "write a page to `FILE`, see the command report", &html, nil},
			{categoryServers, "engine", "engine of ringcached, uring or epoll, or the baseline net (a goroutine for each connection), with --workload, " +
				"may be repeated (default: uring, epoll)", &engines, nil},
			{categoryServers, "peer", strings.Join(append([]string{sut.Memcached, sut.Null}, sut.Peers...), ", ") +
				" (see scripts/install-peer), or `ADDRESS` of a running server, host:port or unix:PATH, may be repeated", &peers, nil},
			{categoryServers, "variant", "ringcached with other flags, as `NAME=FLAGS` such as \"unbatched=--batch-depth 1\", may be repeated",
				(*variants)(&o.Servers.Variants), nil},
		}, trialOptions(&o, &quick)...),
	}
	cmd.run = func(c *cli.Context) error {
		var plans []*trial.Plan
		_, err := o.Servers.Subjects(peers)
		if err != nil {
			return fmt.Errorf("peer: %w", err)
		}
		if len(workloads) > 0 {
			plans, err = p.workloadPlans(c, &o, workloads, engines, peers)
		} else {
			plans, err = p.experimentPlans(c, &o, engines, peers)
		}
		if err != nil {
			return err
		}
		r, err := p.carryOut(c, "compare", plans, o, turns, aa)
		if r == nil {
			return err
		}
		report.PrintEnd(p.stdout, r)
		err = p.finish(c.Context, json, r, r.Failures(), err)
		if benchstat != "" {
			err = errors.Join(err, report.WriteFile(benchstat, report.Benchstat(r)))
		}
		if html != "" && len(r.Results) > 0 {
			err = errors.Join(err, report.WritePage(html, r))
		}
		return err
	}
	return cmd
}

// aboutCompare is what help says of the command.
func aboutCompare() string {
	var experiments strings.Builder
	known, questions := trial.Experiments()
	for i, name := range known {
		fmt.Fprintf(&experiments, "  %-18s %s\n", name, questions[i])
	}
	var names []string
	for _, w := range load.Workloads() {
		names = append(names, w.Name)
	}
	return "Experiments, all of them if none is named:\n\n" + experiments.String() + "\n" +
		"All together take half an hour at most, or two minutes with --quick. The servers are ringcached's engines, memcached where\n" +
		"scripts/install-peer has unpacked it, the null server (canned replies, the lower bound for a request) and any --peer and --variant.\n\n" +
		"With --workload it runs the named workloads instead, on the servers that --engine, --peer and --variant name, for a minute each at\n" +
		"most, or a quarter of one with --quick, unless --time says otherwise.\n" +
		"Workloads: " + strings.Join(names, ", ") + "; common stands for the usual ones.\n\n" +
		"Servers stand side by side, and the load moves between them in slices. CPU per operation is the server's user and system time; its\n" +
		"ratio is taken within each turn of slices and stated with a 95 % confidence interval. Ratios whose interval includes 1 are reported\n" +
		"as noise. A second process of the first server (A/A) shows what the method itself gives. The exit code is 1 if a server died or gave\n" +
		"a wrong reply, or if A/A failed. Where the load was the limit, rows say so: then give it more --load-cores and --threads."
}

// workloadPlans compare the servers that flags name under single workloads.
func (p *program) workloadPlans(c *cli.Context, o *trial.Options, names, engines, peers list) ([]*trial.Plan, error) {
	if c.Args().Present() {
		return nil, fmt.Errorf("experiment %q: with --workload there are none", c.Args().First())
	}
	workloads, err := load.SelectWorkloads(names)
	if err != nil {
		return nil, err
	}
	for _, e := range engines {
		if !slices.Contains([]string{sut.Uring, sut.Epoll, sut.Net}, e) {
			return nil, fmt.Errorf("engine: %q is neither %s nor %s nor %s", e, sut.Uring, sut.Epoll, sut.Net)
		}
	}
	servers := slices.Clone(engines)
	if len(engines) == 0 {
		servers = list{sut.Uring, sut.Epoll}
	}
	for _, v := range o.Servers.Variants {
		servers = append(servers, v.Name)
	}
	if slices.Contains(peers, sut.Valkey) {
		return nil, fmt.Errorf("peer: %s speaks another protocol, it takes part in the experiment idle only", sut.Valkey)
	}
	inTime(c, o, workloads)
	return []*trial.Plan{trial.WorkloadsPlan("workloads", append(servers, peers...), workloads)}, nil
}

// inTime gives each workload a minute, or a quarter of one with --quick, unless a flag says otherwise.
func inTime(c *cli.Context, o *trial.Options, workloads []load.Workload) {
	if !c.IsSet("time") {
		o.Time = time.Duration(len(workloads)) * time.Minute
		if c.Bool("quick") {
			o.Time /= 4
		}
	}
}

func (p *program) experimentPlans(c *cli.Context, o *trial.Options, engines, peers list) ([]*trial.Plan, error) {
	if len(engines) > 0 {
		return nil, fmt.Errorf("engine: %q: an experiment has the servers that it is about; --engine needs --workload", engines[0])
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	e := trial.ExperimentsOptions{Names: c.Args().Slice(), Quick: c.Bool("quick"), Peers: peers}
	e.Peers = slices.DeleteFunc(e.Peers, func(name string) bool { return name == sut.Memcached || name == sut.Null }) // they take part anyway
	return e.Plans(o)
}

// carryOut measures plans, in that many turns at the most where it is not 0, and prints what each finds.
func (p *program) carryOut(c *cli.Context, kind string, plans []*trial.Plan, o trial.Options, turns int, aa bool) (*trial.Report, error) {
	if turns < 0 || turns == 1 {
		return nil, fmt.Errorf("max-turns: %d is neither 0 nor 2 or more", turns)
	}
	for _, plan := range plans {
		if turns > 0 {
			plan.MinTurns, plan.MaxTurns = min(turns, plan.MinTurns), turns
		}
		plan.NoAA = plan.NoAA || !aa
	}
	status := p.status()
	defer status.clear()
	return trial.Run(c.Context, kind, plans, o, trial.Observer{
		Begin: func(r *trial.Report, expected time.Duration) {
			report.PrintBegin(p.stdout, r, r.Options.(*trial.Options), expected)
		},
		Progress: func(at trial.Progress) {
			status.show(fmt.Sprintf("%s at %s: %s; %v left", at.Plan.FullName(), at.Point, at.What, at.Left.Round(time.Second)))
		},
		Result: func(r *trial.Result) {
			status.clear()
			report.PrintResult(p.stdout, r)
		},
	})
}
