package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
)

// limitsCommand holds the options of `limits`.
type limitsCommand struct {
	trial.LimitsOptions
	quick  bool
	only   cli.StringSlice
	starts serverFlags
	json   string
	shape  limitsShape // what flags say of it
}

// limitsShape is what --quick changes.
type limitsShape struct {
	least, most, idleRounds int
	narrow                  float64
	duration, warmup        time.Duration
}

// fullLimits takes at most half an hour, quickLimits about four minutes.
var (
	fullLimits  = limitsShape{6, 18, 3, 0.02, time.Second, 300 * time.Millisecond}
	quickLimits = limitsShape{3, 5, 1, 0.05, 400 * time.Millisecond, 100 * time.Millisecond}
)

func newLimitsCommand(stdout, stderr io.Writer) *cli.Command {
	cmd := &limitsCommand{shape: fullLimits}
	return &cli.Command{
		Name:  "limits",
		Usage: "check ringcached against its targets: CPU ratios to memcached, to epoll and to the null server, memory of idle connections",
		Description: "Rows: " + strings.Join(trial.LimitNames(), ", ") + ".\n\n" +
			"Each row is a workload of compare in interleaved rounds, until the 95 % intervals of its ratios are narrow or clear of the targets, or\n" +
			"there were --max-rounds. A target is met or missed if the whole interval lies on one side of it, otherwise the result is undecided.\n" +
			"All take half an hour at most, or about four minutes with --quick.",
		Flags:        append(cmd.measureFlags(), cmd.starts.flags(&cmd.Servers)...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("limits takes no arguments, got %q", c.Args().First())
			}
			if err := cmd.resolve(c); err != nil {
				return err
			}
			return cmd.run(c.Context, stdout, stderr)
		},
	}
}

func (cmd *limitsCommand) measureFlags() []cli.Flag {
	const category = categoryMeasure
	s := &cmd.shape
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "only", Category: category, Usage: "only the row `NAME`, may be repeated", Destination: &cmd.only},
		&cli.BoolFlag{Name: "quick", Category: category, Usage: "rough results within about four minutes; other flags still count", Destination: &cmd.quick},
		&cli.IntFlag{Name: "min-rounds", Category: category, Usage: "at least `N` rounds of each row", Value: s.least, Destination: &s.least},
		&cli.IntFlag{Name: "max-rounds", Category: category, Usage: "at most `N` rounds of each row", Value: s.most, Destination: &s.most},
		&cli.Float64Flag{Name: "narrow", Category: category, Usage: "ratios are known well enough to within this `PART`", Value: s.narrow, Destination: &s.narrow},
		&cli.DurationFlag{Name: "duration", Category: category, Usage: "measure each trial for `TIME`", Value: s.duration, Destination: &s.duration},
		&cli.DurationFlag{Name: "warmup", Category: category, Usage: "run for `TIME` before measuring", Value: s.warmup, Destination: &s.warmup},
		&cli.IntFlag{Name: "idle-connections", Category: category, Usage: "`N` connections in idle", Value: 15_000, Destination: &cmd.Idle.Connections},
		&cli.IntFlag{Name: "idle-rounds", Category: category, Usage: "`N` rounds of idle", Value: s.idleRounds, Destination: &s.idleRounds},
		&cli.StringFlag{Name: "profile", Category: category, Usage: "write profiles of the rows that missed into `DIR` (needs perf)", Destination: &cmd.Profile},
		&cli.StringFlag{Name: "json", Category: category, Usage: "write everything measured to `FILE`", Destination: &cmd.json},
		&cli.IntFlag{Name: "threads", Category: categoryLoad, Usage: "`N` threads make the load", Value: 1, Destination: &cmd.Threads},
		cmd.starts.loadCoresFlag(categoryLoad),
		&cli.StringFlag{Name: "driver", Category: categoryLoad, Usage: "`NAME` of what moves the bytes: ring, net or auto", Value: load.DriverAuto, Destination: &cmd.Driver},
		&cli.Uint64Flag{Name: "seed", Category: categoryLoad, Usage: "`N` from which keys are drawn", Value: 1, Destination: &cmd.Seed},
		&cli.IntFlag{Name: "memory", Category: categoryServers, Usage: "`MB` for items of each server (-m)", Value: 256, Destination: &cmd.Servers.MemoryMB},
	}
}

// resolve turns what the flags say into options.
func (cmd *limitsCommand) resolve(c *cli.Context) error {
	s := cmd.shape
	if cmd.quick {
		s = quickLimits
		for flag, keep := range map[string]func(){
			"min-rounds":  func() { s.least = cmd.shape.least },
			"max-rounds":  func() { s.most = cmd.shape.most },
			"narrow":      func() { s.narrow = cmd.shape.narrow },
			"duration":    func() { s.duration = cmd.shape.duration },
			"warmup":      func() { s.warmup = cmd.shape.warmup },
			"idle-rounds": func() { s.idleRounds = cmd.shape.idleRounds },
		} {
			if c.IsSet(flag) {
				keep()
			}
		}
	}
	cmd.Least, cmd.Most, cmd.Narrow, cmd.Duration, cmd.Warmup, cmd.Idle.Rounds = s.least, s.most, s.narrow, s.duration, s.warmup, s.idleRounds
	if c.IsSet("max-rounds") && !c.IsSet("min-rounds") {
		cmd.Least = min(cmd.Least, cmd.Most)
	}
	cmd.Only = cmd.only.Value()
	return cmd.starts.resolve(&cmd.Servers, &cmd.Cores)
}

func (cmd *limitsCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	return measureAndReport(ctx, stdout, stderr, cmd.json, func(status *status) (*trial.Report, error) {
		return trial.Limits(ctx, cmd.LimitsOptions, trial.LimitsObserver{
			Begin: func(r *trial.Report) {
				trial.PrintLimitsHeading(stdout, r)
				status.show(fmt.Sprintf("%v at most", cmd.Expected().Round(time.Second)))
			},
			Stage: status.show,
			Row: func(row *trial.LimitRow) {
				status.clear()
				trial.PrintLimit(stdout, row)
			},
			Idle: func(idle *trial.Idle) {
				status.clear()
				trial.PrintIdle(stdout, idle)
			},
		})
	}, trial.PrintLimitsSum)
}
