package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/report"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// comparison holds the options of `compare`.
type comparison struct {
	trial.Options
	workloads, engines, peers list
	tls                       bool
	plain                     list // servers without TLS beside those with it
}

func (p *program) compareCommand() command {
	x := comparison{Options: trial.DefaultOptions(p.quick)}
	var benchstat, html string
	var turns int
	aa := true
	experiments, questions := trial.Experiments()
	var workloads []string
	for _, w := range load.Workloads() {
		workloads = append(workloads, w.Name)
	}
	cmd := command{
		name: "compare", args: "[EXPERIMENT...]", most: 1000, quick: true, files: []*string{&benchstat, &html},
		facts: []string{
			"{workloads}", strings.Join(workloads, ", "),
			"{peers}", strings.Join(append([]string{sut.Memcached, sut.Null}, sut.Peers...), ", "),
			"{experiments}", listing(experiments, 18, func(name string) (string, string) {
				return name, questions[slices.Index(experiments, name)]
			}),
		},
		options: append([]option{
			{"workload", &x.workloads}, {"engine", &x.engines}, {"peer", &x.peers},
			{"variant", (*variants)(&x.Servers.Variants)}, {"aa", &aa}, {"max-turns", &turns},
			{"benchstat", &benchstat}, {"html", &html}, {"tls", &x.tls}, {"plain", &x.plain},
			{"tls-version", &x.Servers.TLSVersion}, {"tls-key", &x.Servers.TLSKey},
		}, trialOptions(&x.Options)...),
	}
	cmd.measure = func(c *cli.Context, show func(string)) (*outcome, error) {
		plans, err := x.plans(c)
		if err != nil {
			return nil, err
		}
		r, err := p.carryOut(c, show, "compare", plans, x.Options, turns, aa)
		return ofTrial(r, func(err error) error {
			if benchstat != "" {
				err = errors.Join(err, report.WriteFile(benchstat, report.Benchstat(r)))
			}
			if html != "" && len(r.Results) > 0 {
				err = errors.Join(err, report.WritePage(html, r))
			}
			return err
		}), err
	}
	return cmd
}

// plans are those of experiments, or one of workloads on the servers that flags name.
func (x *comparison) plans(c *cli.Context) ([]*trial.Plan, error) {
	if _, err := x.Servers.Subjects(x.peers); err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	switch {
	case len(x.plain) > 0 && !(x.tls && len(x.workloads) > 0):
		return nil, fmt.Errorf("plain: %q: it needs --tls and --workload", x.plain[0])
	case len(x.workloads) > 0:
		return x.workloadPlans(c)
	case len(x.engines) > 0:
		return nil, fmt.Errorf("engine: %q: an experiment has the servers that it is about; --engine needs --workload",
			x.engines[0])
	}
	if err := x.Validate(); err != nil {
		return nil, err
	}
	e := trial.ExperimentsOptions{Names: c.Args().Slice(), Quick: c.Bool("quick"), TLS: x.tls}
	for _, name := range x.peers {
		if name != sut.Memcached && name != sut.Null { // they take part anyway
			e.Peers = append(e.Peers, name)
		}
	}
	return e.Plans(&x.Options)
}

func (x *comparison) workloadPlans(c *cli.Context) ([]*trial.Plan, error) {
	if c.Args().Present() {
		return nil, fmt.Errorf("experiment %q: with --workload there are none", c.Args().First())
	}
	workloads, err := load.SelectWorkloads(x.workloads)
	if err != nil {
		return nil, err
	}
	for _, e := range x.engines {
		if !slices.Contains([]string{sut.Uring, sut.Epoll, sut.Net}, e) {
			return nil, fmt.Errorf("engine: %q is neither %s nor %s nor %s", e, sut.Uring, sut.Epoll, sut.Net)
		}
	}
	servers := slices.Clone(x.engines)
	if len(servers) == 0 {
		servers = list{sut.Uring, sut.Epoll}
	}
	for _, v := range x.Servers.Variants {
		servers = append(servers, v.Name)
	}
	if slices.Contains(x.peers, sut.Valkey) {
		return nil, fmt.Errorf("peer: %s speaks another protocol, it takes part in the experiment idle only", sut.Valkey)
	}
	inTime(c, &x.Options, workloads)
	plan := trial.WorkloadsPlan("workloads", append(servers, x.peers...), workloads)
	if x.tls {
		err = x.encrypt(plan)
	}
	return []*trial.Plan{plan}, err
}

// encrypt has the servers of a plan speak TLS, and adds those that do not.
func (x *comparison) encrypt(plan *trial.Plan) error {
	for i := range plan.Servers {
		s := &plan.Servers[i]
		if err := x.Servers.CheckTLS(s.Start); err != nil {
			return fmt.Errorf("tls: server %s: %w", s.Name, err)
		}
		s.TLS = true
	}
	for _, name := range x.plain {
		s := trial.Server{Name: name + ", plain", Start: name}
		plan.Servers = append(plan.Servers, s)
		plan.Reference = cmp.Or(plan.Reference, s.Name)
	}
	return nil
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

// carryOut measures plans, in that many turns at the most where it is not 0, and prints what each finds.
func (p *program) carryOut(
	c *cli.Context, show func(string), kind string, plans []*trial.Plan, o trial.Options, turns int, aa bool,
) (*trial.Report, error) {
	if turns < 0 || turns == 1 {
		return nil, fmt.Errorf("max-turns: %d is neither 0 nor 2 or more", turns)
	}
	for _, plan := range plans {
		if turns > 0 {
			plan.MinTurns, plan.MaxTurns = min(turns, plan.MinTurns), turns
		}
		plan.NoAA = plan.NoAA || !aa
	}
	return trial.Run(c.Context, kind, plans, o, trial.Observer{
		Begin: func(r *trial.Report) {
			show("")
			report.PrintBegin(p.stdout, r)
		},
		Progress: func(at trial.Progress) {
			show(fmt.Sprintf("%s at %s: %s; %v left", at.Plan.FullName(), at.Point, at.What, at.Left.Round(time.Second)))
		},
		Result: func(r *trial.Result) {
			show("")
			report.PrintResult(p.stdout, r)
		},
	})
}

// ofTrial is the outcome of plans, nil without a report.
func ofTrial(r *trial.Report, last func(error) error) *outcome {
	if r == nil {
		return nil
	}
	return &outcome{result: r, print: func(w io.Writer) { report.PrintEnd(w, r) }, failures: r.Failures(), last: last}
}

func (p *program) limitsCommand() command {
	o, limits := trial.DefaultOptions(p.quick), trial.LimitsOptions{Idle: 15_000, Turns: 3}
	if p.quick {
		o.Time, o.Precision, limits.Turns = 4*time.Minute, 0.05, 1
	}
	var turns int
	return command{
		name: "limits", quick: true, facts: []string{"{rows}", strings.Join(trial.LimitNames(), ", ")},
		options: append([]option{
			{"only", (*list)(&limits.Only)}, {"idle-connections", &limits.Idle}, {"idle-rounds", &limits.Turns},
			{"before", &limits.Before}, {"max-turns", &turns}, {"profile", &o.Profile},
		}, trialOptions(&o)...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			plans, err := limits.Plans(&o.Servers)
			if err != nil {
				return nil, err
			}
			r, err := p.carryOut(c, show, "limits", plans, o, turns, true)
			return ofTrial(r, nil), err
		},
	}
}

func (p *program) reportCommand() command {
	var html string
	return command{
		name: "report", args: "FILE.json", least: 1, most: 1,
		options: []option{{"html", &html}}, files: []*string{&html},
		run: func(c *cli.Context) error {
			file := c.Args().First()
			switch {
			case html == "" && file == report.Standard:
				html = file
			case html == "":
				html = strings.TrimSuffix(file, filepath.Ext(file)) + ".html"
			case html == file && file != report.Standard:
				return fmt.Errorf("html: %s is the result itself", file)
			}
			r, err := report.Read(file)
			if err != nil {
				return err
			}
			if len(r.Results) == 0 {
				return fmt.Errorf("%s: a result of %s, without plans: there is nothing for a page", file, r.Kind)
			}
			if err := report.WritePage(html, r); err != nil {
				return err
			}
			if html != report.Standard {
				fmt.Fprintf(p.stdout, "wrote %s\n", html)
			}
			return nil
		},
	}
}
