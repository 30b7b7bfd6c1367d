package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench"
)

// attackCommand holds the options of `attack`.
type attackCommand struct {
	bench.AttackOptions
	loads   cli.StringSlice
	engines cli.StringSlice
	alone   bool
	starts  serverFlags
	json    string
}

func newAttackCommand(stdout, stderr io.Writer) *cli.Command {
	cmd := &attackCommand{starts: serverFlags{threads: 2}}
	names, titles := bench.AttackLoads()
	var list strings.Builder
	for i := range names {
		fmt.Fprintf(&list, "  %-16s %s\n", names[i], titles[i])
	}
	return &cli.Command{
		Name:  "attack",
		Usage: "show what hostile clients do to ringcached and memcached, and to a polite client beside them",
		Description: "Loads:\n\n" + list.String() + "\n" +
			"Each load has a new server, on a core that the load does not use. Attackers talk to servers on 127.0.0.1 that were started here, and to no\n" +
			"others. The polite client makes requests at a steady rate; the table has its latency, its requests that failed, the server's memory, and\n" +
			"the server's CPU time for each byte and request of the attackers. All take about twelve minutes with five servers.",
		Flags:        append(cmd.measureFlags(), cmd.serverFlags()...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("attack takes no arguments, got %q: it starts the servers itself", c.Args().First())
			}
			if err := cmd.resolve(); err != nil {
				return err
			}
			return cmd.run(c.Context, stdout, stderr)
		},
	}
}

func (cmd *attackCommand) measureFlags() []cli.Flag {
	const category = categoryMeasure
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "load", Category: category, Usage: "only the load `NAME`, may be repeated", Destination: &cmd.loads},
		&cli.DurationFlag{Name: "duration", Category: category, Usage: "attack for `TIME`", Value: 2 * time.Second, Destination: &cmd.Duration},
		&cli.DurationFlag{Name: "alone", Category: category, Usage: "look at the polite client alone for `TIME` before", Value: time.Second, Destination: &cmd.Alone},
		&cli.DurationFlag{Name: "settle", Category: category, Usage: "look at the memory again `TIME` after", Value: 10 * time.Second, Destination: &cmd.Settle},
		&cli.Float64Flag{Name: "rate", Category: category, Usage: "`N` requests per second of the polite client", Value: 1000, Destination: &cmd.Rate},
		&cli.IntFlag{Name: "items", Category: category, Usage: "`N` items in loads that need many", Value: 1_000_000, Destination: &cmd.Items},
		&cli.IntFlag{Name: "most-connections", Category: category, Usage: "at most `N` attackers (default: what the load says)", Destination: &cmd.Most},
		cmd.starts.loadCoresFlag(category),
		&cli.StringFlag{Name: "json", Category: category, Usage: "write everything measured to `FILE`", Destination: &cmd.json},
	}
}

func (cmd *attackCommand) serverFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "engine", Category: categoryServers, Usage: "engine of ringcached, uring or epoll, or the baseline net, may be repeated (default: uring, epoll)", Destination: &cmd.engines},
		&cli.StringFlag{Name: "before", Category: categoryServers, Usage: "`PATH` of another build of ringcached, whose engines are attacked too", Destination: &cmd.Before},
		&cli.BoolFlag{Name: "no-memcached", Category: categoryServers, Usage: "without memcached", Destination: &cmd.alone},
	}, cmd.starts.flags(&cmd.Servers)...)
}

// resolve turns what the flags say into options.
func (cmd *attackCommand) resolve() error {
	cmd.Loads = cmd.loads.Value()
	if cmd.Subjects = cmd.engines.Value(); len(cmd.Subjects) == 0 {
		cmd.Subjects = []string{bench.SubjectUring, bench.SubjectEpoll}
	}
	if !cmd.alone {
		cmd.Subjects = append(cmd.Subjects, bench.SubjectMemcached)
	}
	return cmd.starts.resolve(&cmd.Servers, &cmd.Cores)
}

func (cmd *attackCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := canWrite(cmd.json); err != nil {
		return err
	}
	status := newStatus(stderr)
	report, err := bench.Attack(ctx, cmd.AttackOptions, bench.AttackObserver{
		Begin: func(r *bench.Report) { bench.PrintAttackHeading(stdout, r) },
		Stage: status.show,
		Load: func(row *bench.AttackRow) {
			status.clear()
			bench.PrintAttackLoad(stdout, row)
		},
		Result: func(r *bench.AttackResult) {
			status.clear()
			bench.PrintAttackResult(stdout, r)
		},
	})
	status.clear()
	if report == nil {
		return err
	}
	bench.PrintAttackSum(stdout, report)
	return outcome(ctx, stdout, report, cmd.json, err)
}
