package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// compareCommand holds the options of `compare`.
type compareCommand struct {
	trial.CompareOptions
	quick     bool
	workloads cli.StringSlice
	engines   cli.StringSlice
	peers     cli.StringSlice
	variants  variants
	starts    serverFlags
	json      string
	benchstat string
	html      string
}

// variants collects the values of a flag that may be repeated. They may have commas, at which cli's own lists are split.
type variants []sut.Variant

func (v *variants) Set(text string) error {
	one, err := sut.ParseVariant(text)
	if err != nil {
		return err
	}
	*v = append(*v, one)
	return nil
}

func (v *variants) String() string { return "" }

// quickShape is what --quick changes: about two minutes with one peer.
var quickShape = struct {
	rounds           int
	duration, warmup time.Duration
}{5, 400 * time.Millisecond, 100 * time.Millisecond}

func newCompareCommand(stdout, stderr io.Writer) *cli.Command {
	cmd := &compareCommand{}
	return &cli.Command{
		Name:      "compare",
		Usage:     "start ringcached's engines and others, each alone on a core, and compare what operations cost them",
		ArgsUsage: "[EXPERIMENT...]",
		Description: "Experiments, all of them if none is named (flags come before the names):\n\n" + experimentList() + "\n" +
			"All together take half an hour at most, or two minutes with --quick. The servers are ringcached's engines, memcached where it is\n" +
			"installed, the null server (canned replies, the lower bound for a request) and any --peer and --variant.\n\n" +
			"With --workload it runs the named workloads instead, on the servers that --engine, --peer and --variant name.\n" +
			"Workloads: " + strings.Join(workloadNames(), ", ") + "; common stands for the usual ones.\n\n" +
			"Each round gives every server one trial, in an order that rotates, with a new process. CPU per operation is the server's user and\n" +
			"system time; its ratio is taken within each round and stated with a 95 % confidence interval over the rounds. Ratios whose interval\n" +
			"includes 1 are reported as noise. The exit code is 1 if a\n" +
			"server died or gave a wrong reply, or if there are no figures because the load was the limit: then give it more --load-cores and --threads.",
		Flags:        append(cmd.measureFlags(), cmd.serverFlags()...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if err := canWrite(cmd.json, cmd.benchstat, cmd.html); err != nil {
				return err
			}
			if len(cmd.workloads.Value()) == 0 {
				return cmd.experiments(c, stdout, stderr)
			}
			if c.Args().Present() {
				return fmt.Errorf("experiment %q: with --workload there are none", c.Args().First())
			}
			if err := cmd.resolve(c); err != nil {
				return err
			}
			return cmd.run(c.Context, stdout, stderr)
		},
	}
}

func workloadNames() (names []string) {
	for _, w := range load.Workloads() {
		names = append(names, w.Name)
	}
	return names
}

func (cmd *compareCommand) measureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "workload", Category: categoryLoad, Usage: "compare the workload `NAME` instead of running experiments, may be repeated", Destination: &cmd.workloads},
		&cli.IntFlag{Name: "threads", Category: categoryLoad, Usage: "`N` threads make the load", Value: 1, Destination: &cmd.Threads},
		cmd.starts.loadCoresFlag(categoryLoad),
		&cli.StringFlag{Name: "driver", Category: categoryLoad, Usage: "`NAME` of what moves the bytes: ring, net or auto", Value: load.DriverAuto, Destination: &cmd.Driver},
		&cli.Uint64Flag{Name: "seed", Category: categoryLoad, Usage: "`N` from which keys are drawn", Value: 1, Destination: &cmd.Seed},
		&cli.BoolFlag{Name: "quick", Category: categoryMeasure, Usage: "a result within about two minutes; --rounds, --duration and --warmup still count", Destination: &cmd.quick},
		&cli.IntFlag{Name: "rounds", Category: categoryMeasure, Usage: "`N` rounds", Value: 7, DefaultText: "7; experiments: as many as fit", Destination: &cmd.Rounds},
		&cli.DurationFlag{
			Name: "duration", Category: categoryMeasure, Usage: "measure each trial for `TIME`", Value: 3 * time.Second, DefaultText: "3s; experiments: what fits",
			Destination: &cmd.Duration,
		},
		&cli.DurationFlag{
			Name: "warmup", Category: categoryMeasure, Usage: "run for `TIME` before measuring", Value: 500 * time.Millisecond,
			DefaultText: "500ms; experiments: what fits", Destination: &cmd.Warmup,
		},
		&cli.StringFlag{Name: "json", Category: categoryMeasure, Usage: "write everything measured to `FILE`", Destination: &cmd.json},
		&cli.StringFlag{Name: "benchstat", Category: categoryMeasure, Usage: "write the experiments' rounds to `FILE`, for benchstat", Destination: &cmd.benchstat},
		&cli.StringFlag{Name: "html", Category: categoryMeasure, Usage: "write a page of the experiments to `FILE`, see the command report", Destination: &cmd.html},
	}
}

func (cmd *compareCommand) serverFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "engine", Category: categoryServers, Usage: "engine of ringcached, uring or epoll, or the baseline net (a goroutine for each connection), with --workload, may be repeated (default: uring, epoll)", Destination: &cmd.engines},
		&cli.StringSliceFlag{
			Name: "peer", Category: categoryServers, Destination: &cmd.peers,
			Usage: "memcached, null (canned replies, the lower bound for a request), or `ADDRESS` of a running server, " +
				"host:port or unix:PATH, may be repeated",
		},
		&cli.GenericFlag{Name: "variant", Category: categoryServers, Usage: "ringcached with other flags, as `NAME=FLAGS` such as \"unbatched=--batch-depth 1\", may be repeated", Value: &cmd.variants},
		&cli.IntFlag{Name: "memory", Category: categoryServers, Usage: "`MB` for items of each server (-m)", Value: 256, Destination: &cmd.Servers.MemoryMB},
	}, cmd.starts.flags(&cmd.Servers)...)
}

// resolve turns what the flags say into options.
func (cmd *compareCommand) resolve(c *cli.Context) (err error) {
	if cmd.quick {
		if !c.IsSet("rounds") {
			cmd.Rounds = quickShape.rounds
		}
		if !c.IsSet("duration") {
			cmd.Duration = quickShape.duration
		}
		if !c.IsSet("warmup") {
			cmd.Warmup = quickShape.warmup
		}
	}
	if cmd.html != "" || cmd.benchstat != "" {
		return errors.New("html, benchstat: these are of experiments, not of workloads")
	}
	if cmd.Workloads, err = load.SelectWorkloads(cmd.workloads.Value()); err != nil {
		return err
	}
	engines := cmd.engines.Value()
	for _, e := range engines {
		if e != sut.Uring && e != sut.Epoll && e != sut.Net {
			return fmt.Errorf("engine: %q is neither %s nor %s nor %s", e, sut.Uring, sut.Epoll, sut.Net)
		}
	}
	if len(engines) == 0 {
		engines = []string{sut.Uring, sut.Epoll}
	}
	for _, p := range cmd.peers.Value() {
		if !load.IsAddress(p) && p != sut.Memcached && p != sut.Null && !slices.Contains(sut.Peers, p) {
			return fmt.Errorf("peer: %q is neither %s nor %s nor %s nor HOST:PORT nor unix:PATH", p, sut.Memcached, sut.Null, strings.Join(sut.Peers, ", "))
		}
	}
	cmd.Servers.Variants = cmd.variants
	for _, v := range cmd.variants {
		engines = append(engines, v.Name)
	}
	cmd.Subjects = append(engines, cmd.peers.Value()...)
	return cmd.starts.resolve(&cmd.Servers, &cmd.Cores)
}

func (cmd *compareCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	status := newStatus(stderr)
	report, err := trial.Compare(ctx, cmd.CompareOptions, compareObserver(stdout, status))
	status.clear()
	if report == nil {
		return err
	}
	trial.PrintFootnotes(stdout, report)
	return outcome(ctx, stdout, report, cmd.json, err)
}

// compareObserver prints a comparison while it runs.
func compareObserver(stdout io.Writer, status *status) trial.Observer {
	return trial.Observer{
		Begin: func(r *trial.Report) {
			trial.PrintHeading(stdout, r)
			status.show(fmt.Sprintf("about %v in all", r.Options.(*trial.CompareOptions).Expected().Round(time.Second)))
		},
		Trial: func(p trial.Progress) { status.show(progressLine(p)) },
		Row: func(row *trial.Comparison) {
			status.clear()
			trial.PrintComparison(stdout, row)
		},
	}
}

// progressLine tells a trial's outcome and the time left.
func progressLine(p trial.Progress) string {
	return fmt.Sprintf("[%d/%d] %s, round %d of %d, %s: %s; %v left", p.Done, p.Total, p.Workload.Name, p.Round, p.Rounds, p.Last.Server, trialOutcome(p.Last), p.Left.Round(time.Second))
}
