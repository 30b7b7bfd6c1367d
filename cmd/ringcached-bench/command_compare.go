package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench"
)

// compareCommand holds the options of `compare`.
type compareCommand struct {
	bench.CompareOptions
	quick     bool
	workloads cli.StringSlice
	engines   cli.StringSlice
	peers     cli.StringSlice
	variants  variants
	starts    serverFlags
	json      string
}

// variants collects the values of a flag that may be repeated. They may have commas, at which cli's own lists are split.
type variants []bench.Variant

func (v *variants) Set(text string) error {
	one, err := bench.ParseVariant(text)
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
		Name:  "compare",
		Usage: "start ringcached's engines and others, each alone on a core, and compare what operations cost them",
		Description: "Workloads: " + strings.Join(workloadNames(), ", ") + ". Without --workload the common ones run.\n\n" +
			"Each round gives every server one turn, in an order that rotates, with a new process. CPU per operation is the server's user and\n" +
			"system time; its ratio is taken within each round and stated with a 95 % confidence interval over the rounds.",
		Flags:        append(cmd.measureFlags(), cmd.serverFlags()...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("compare takes no arguments, got %q", c.Args().First())
			}
			if err := cmd.resolve(c); err != nil {
				return err
			}
			return cmd.run(c.Context, stdout, stderr)
		},
	}
}

func workloadNames() (names []string) {
	for _, w := range bench.Workloads() {
		names = append(names, w.Name)
	}
	return names
}

func (cmd *compareCommand) measureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "workload", Category: categoryLoad, Usage: "only the workload `NAME`, may be repeated", Destination: &cmd.workloads},
		&cli.IntFlag{Name: "threads", Category: categoryLoad, Usage: "`N` threads make the load", Value: 1, Destination: &cmd.Threads},
		cmd.starts.loadCoresFlag(categoryLoad),
		&cli.StringFlag{Name: "driver", Category: categoryLoad, Usage: "`NAME` of what moves the bytes: ring, net or auto", Value: bench.DriverAuto, Destination: &cmd.Driver},
		&cli.Uint64Flag{Name: "seed", Category: categoryLoad, Usage: "`N` from which keys are drawn", Value: 1, Destination: &cmd.Seed},
		&cli.BoolFlag{Name: "quick", Category: categoryMeasure, Usage: "a result within about two minutes; --rounds, --duration and --warmup still count", Destination: &cmd.quick},
		&cli.IntFlag{Name: "rounds", Category: categoryMeasure, Usage: "`N` rounds", Value: 7, Destination: &cmd.Rounds},
		&cli.DurationFlag{Name: "duration", Category: categoryMeasure, Usage: "measure each turn for `TIME`", Value: 3 * time.Second, Destination: &cmd.Duration},
		&cli.DurationFlag{Name: "warmup", Category: categoryMeasure, Usage: "run for `TIME` before measuring", Value: 500 * time.Millisecond, Destination: &cmd.Warmup},
		&cli.StringFlag{Name: "json", Category: categoryMeasure, Usage: "write everything measured to `FILE`", Destination: &cmd.json},
	}
}

func (cmd *compareCommand) serverFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "engine", Category: categoryServers, Usage: "engine of ringcached, may be repeated (default: uring, epoll)", Destination: &cmd.engines},
		&cli.StringSliceFlag{Name: "peer", Category: categoryServers, Usage: "memcached, null (canned replies: the least that a request can cost), or `HOST:PORT` of a running server, may be repeated", Destination: &cmd.peers},
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
	if cmd.Workloads, err = bench.SelectWorkloads(cmd.workloads.Value()); err != nil {
		return err
	}
	engines := cmd.engines.Value()
	for _, e := range engines {
		if e != bench.SubjectUring && e != bench.SubjectEpoll {
			return fmt.Errorf("engine: %q is neither %s nor %s", e, bench.SubjectUring, bench.SubjectEpoll)
		}
	}
	if len(engines) == 0 {
		engines = []string{bench.SubjectUring, bench.SubjectEpoll}
	}
	for _, p := range cmd.peers.Value() {
		if _, _, err := net.SplitHostPort(p); err != nil && p != bench.SubjectMemcached && p != bench.SubjectNull {
			return fmt.Errorf("peer: %q is neither %s nor %s nor HOST:PORT", p, bench.SubjectMemcached, bench.SubjectNull)
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
	report, err := bench.Compare(ctx, cmd.CompareOptions, compareObserver(stdout, status))
	status.clear()
	if report == nil {
		return err
	}
	bench.PrintFootnotes(stdout, report)
	return outcome(ctx, stdout, report, cmd.json, err)
}

// compareObserver prints a comparison while it runs.
func compareObserver(stdout io.Writer, status *status) bench.Observer {
	return bench.Observer{
		Begin: func(r *bench.Report) {
			bench.PrintHeading(stdout, r)
			status.show(fmt.Sprintf("about %v in all", r.Options.(*bench.CompareOptions).Expected().Round(time.Second)))
		},
		Turn: func(p bench.Progress) { status.show(progressLine(p)) },
		Row: func(row *bench.Comparison) {
			status.clear()
			bench.PrintComparison(stdout, row)
		},
	}
}

// progressLine tells a turn's outcome and the time left.
func progressLine(p bench.Progress) string {
	r := p.Last
	what := fmt.Sprintf("%.0f/s", r.PerSecond)
	if r.CPUPerOp > 0 {
		what += fmt.Sprintf(", %.3f us CPU/op", r.CPUPerOp)
	}
	if r.Failed() {
		what = "FAILED"
	}
	return fmt.Sprintf("[%d/%d] %s, round %d of %d, %s: %s; %v left", p.Done, p.Total, p.Workload.Name, p.Round, p.Rounds, r.Server, what, p.Left.Round(time.Second))
}
