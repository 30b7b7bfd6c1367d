package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	report "ringcached/bench/oldreport"
	"ringcached/bench/sut"
)

// runCommand holds the options of `run`.
type runCommand struct {
	load.RunOptions
	noPreload bool
	json      string
}

func newRunCommand(stdout, stderr io.Writer) *cli.Command {
	r := runCommand{RunOptions: load.RunOptions{Options: load.Options{Workload: load.DefaultWorkload()}}}
	return &cli.Command{
		Name:         "run",
		Usage:        "run one load against one server and check every reply",
		ArgsUsage:    "[ADDR]",
		Flags:        append(r.flags(), workloadFlags(&r.Workload)...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return fmt.Errorf("run takes one address, got %q too (flags come before it)", c.Args().Get(1))
			}
			if c.NArg() == 1 {
				r.Addr = c.Args().First()
			}
			if !c.IsSet("transport") {
				r.Workload.Transport = load.TransportOf(r.Addr)
			}
			return r.run(c, stdout, stderr)
		},
	}
}

func (r *runCommand) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "addr", Usage: "`ADDRESS` of the server: host:port or unix:PATH", Value: "127.0.0.1:11211", Destination: &r.Addr},
		&cli.DurationFlag{Name: "duration", Category: categoryMeasure, Usage: "measure for `TIME`", Value: 10 * time.Second, Destination: &r.Duration},
		&cli.DurationFlag{Name: "warmup", Category: categoryMeasure, Usage: "run for `TIME` before measuring; not with --requests", Value: time.Second, Destination: &r.Warmup},
		&cli.Int64Flag{Name: "requests", Category: categoryMeasure, Usage: "end after `N` requests at the latest; 0: no such end", Destination: &r.Requests},
		&cli.StringFlag{Name: "json", Category: categoryMeasure, Usage: "write the result to `FILE` too", Destination: &r.json},
		&cli.IntFlag{Name: "threads", Category: categoryLoad, Usage: "`N` threads make the load", Value: 1, Destination: &r.Threads},
		&cli.StringFlag{Name: "driver", Category: categoryLoad, Usage: "`NAME` of what moves the bytes: ring (io_uring), epoll or auto", Value: load.DriverAuto, Destination: &r.Driver},
		&cli.Uint64Flag{Name: "seed", Category: categoryLoad, Usage: "`N` from which keys are drawn", Value: 1, Destination: &r.Seed},
		&cli.BoolFlag{Name: "no-preload", Category: categoryLoad, Usage: "do not store the keys first", Destination: &r.noPreload},
	}
}

func (r *runCommand) run(c *cli.Context, stdout, stderr io.Writer) error {
	r.Preload = !r.noPreload
	status := newStatus(stderr)
	r.Stage = status.show
	var last int64
	r.Tick = func(elapsed time.Duration, operations int64) {
		status.show(fmt.Sprintf("%v: %d operations, %d in the last second", elapsed.Round(time.Second), operations, max(operations-last, 0)))
		last = operations
	}
	header := sut.NewHeader("run", r.Described())
	run, err := load.Run(c.Context, r.RunOptions)
	status.clear()
	if run == nil {
		return err
	}
	header.Finish()
	load.PrintRun(stdout, run)
	if r.json != "" {
		result := report.Report{Run: run}
		result.Header = header
		err = errors.Join(err, report.WriteJSON(r.json, &result))
	}
	if why := run.Failed(); why != "" {
		err = errors.Join(err, errors.New(why))
	}
	return err
}
