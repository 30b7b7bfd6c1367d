package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	report "ringcached/bench/oldreport"
	trial "ringcached/bench/oldtrial"
)

// Exit codes of regress: something got worse, or that cannot be decided.
const (
	exitWorse    = 1
	exitUnusable = 2
)

// regressCommand holds the options of `regress`.
type regressCommand struct {
	trial.CompareOptions
	report.RegressOptions
	oldServer string
	newServer string
	revisions string
	workloads cli.StringSlice
	starts    serverFlags
	json      string
}

func newRegressCommand(stdout *output, stderr io.Writer) *cli.Command {
	cmd := &regressCommand{}
	return &cli.Command{
		Name:      "regress",
		Usage:     "report what changed beyond noise between two results, or between two builds of ringcached",
		ArgsUsage: "[OLD.json NEW.json]",
		Description: "With two files, results of compare or limits, their rounds are compared. With --old-server and --new-server, or --revisions,\n" +
			"two builds are measured in the same rounds: slower, and far more exact. The exit code is 0 if nothing got worse beyond noise\n" +
			"and --threshold, 1 if something did, 2 if that cannot be decided, as when the new rounds failed or the new result has less.",
		Flags: append(cmd.flags(), cmd.buildFlags()...),
		OnUsageError: func(c *cli.Context, err error, sub bool) error {
			return cli.Exit(usageError(c, err, sub).Error(), exitUnusable)
		},
		Action: func(c *cli.Context) error {
			worse, err := cmd.run(c, stdout, stderr)
			if err = errors.Join(err, stdout.err); err != nil {
				return cli.Exit(err.Error(), exitUnusable)
			}
			if worse > 0 {
				return cli.Exit(fmt.Sprintf("%d of the figures got worse", worse), exitWorse)
			}
			return nil
		},
	}
}

func (cmd *regressCommand) flags() []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{
			Name: "threshold", Usage: "a change counts from this `PART` on, beside being more than noise", Value: 0.05, Destination: &cmd.Threshold,
		},
		&cli.BoolFlag{
			Name: "force", Usage: "compare results of different machines and options too, with warnings, and a new one that has less", Destination: &cmd.Force,
		},
		&cli.StringFlag{Name: "json", Usage: "write the result to `FILE` too", Destination: &cmd.json},
	}
}

// buildFlags are for the measurement of two builds.
func (cmd *regressCommand) buildFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "old-server", Category: categoryServers, Usage: "`PATH` of the old ringcached", Destination: &cmd.oldServer},
		&cli.StringFlag{Name: "new-server", Category: categoryServers, Usage: "`PATH` of the new ringcached", Destination: &cmd.newServer},
		&cli.StringFlag{
			Name: "revisions", Category: categoryServers, Usage: "build two revisions `OLD..NEW` of the git repository here; without NEW: HEAD", Destination: &cmd.revisions,
		},
		&cli.IntFlag{
			Name: "memory", Category: categoryServers, Usage: "`MB` for items of each server (-m)", Value: 256, Destination: &cmd.Servers.MemoryMB,
		},
		&cli.StringSliceFlag{
			Name: "workload", Category: categoryLoad, Usage: "only the workload `NAME`, may be repeated", Destination: &cmd.workloads,
		},
		&cli.IntFlag{Name: "threads", Category: categoryLoad, Usage: "`N` threads make the load", Value: 1, Destination: &cmd.Threads},
		cmd.starts.loadCoresFlag(categoryLoad),
		&cli.StringFlag{
			Name: "driver", Category: categoryLoad, Usage: "`NAME` of what moves the bytes: ring, net or auto", Value: load.DriverAuto, Destination: &cmd.Driver,
		},
		&cli.Uint64Flag{Name: "seed", Category: categoryLoad, Usage: "`N` from which keys are drawn", Value: 1, Destination: &cmd.Seed},
		&cli.IntFlag{Name: "rounds", Category: categoryMeasure, Usage: "`N` rounds", Value: 10, Destination: &cmd.Rounds},
		&cli.DurationFlag{
			Name: "duration", Category: categoryMeasure, Usage: "measure each trial for `TIME`", Value: time.Second, Destination: &cmd.Duration,
		},
		&cli.DurationFlag{
			Name: "warmup", Category: categoryMeasure, Usage: "run for `TIME` before measuring", Value: 200 * time.Millisecond, Destination: &cmd.Warmup,
		},
	}
	// There are two ringcacheds here, and no memcached.
	return append(flags, slices.DeleteFunc(cmd.starts.flags(&cmd.Servers), func(f cli.Flag) bool {
		return f.Names()[0] == "server" || f.Names()[0] == "memcached"
	})...)
}

// run says how many figures got worse. An error says why that cannot be decided.
func (cmd *regressCommand) run(c *cli.Context, stdout, stderr io.Writer) (worse int, err error) {
	var result *report.Report
	switch builds := cmd.oldServer != "" || cmd.newServer != ""; {
	case c.NArg() == 2 && !builds && cmd.revisions == "":
		if err := cmd.refuseBuildFlags(c); err != nil {
			return 0, err
		}
		result, err = report.Regress(c.Args().Get(0), c.Args().Get(1), cmd.RegressOptions)
	case c.NArg() == 0 && cmd.revisions != "" && !builds:
		result, err = cmd.compareRevisions(c.Context, stdout, stderr)
	case c.NArg() == 0 && cmd.revisions == "" && cmd.oldServer != "" && cmd.newServer != "":
		result, err = cmd.compareBuilds(c.Context, cmd.oldServer, cmd.newServer, stdout, stderr)
	default:
		return 0, errors.New("regress takes two files, or --old-server and --new-server, or --revisions (flags come before files)")
	}
	if result == nil {
		return 0, err
	}
	if r := result.Regression; len(r.Rows)+len(r.Missing) > 0 {
		report.PrintRegression(stdout, r)
	}
	if cmd.json != "" {
		err = errors.Join(err, report.WriteJSON(cmd.json, result))
	}
	if c.Context.Err() != nil {
		return 0, errors.New("interrupted: these are the results so far")
	}
	for _, line := range result.Failures() {
		err = errors.Join(err, errors.New(line))
	}
	for _, line := range result.Regression.Doubts {
		err = errors.Join(err, errors.New("undecided: "+line))
	}
	if err == nil && result.Regression.Silent() {
		err = errors.New("too few rounds: a comparison needs two or more on each side")
	}
	return len(result.Regression.Worse()), err
}

// refuseBuildFlags says which flag is given in vain with two files, in which everything was measured already.
func (cmd *regressCommand) refuseBuildFlags(c *cli.Context) error {
	for _, f := range cmd.buildFlags() {
		if name := f.Names()[0]; c.IsSet(name) {
			return fmt.Errorf("--%s is for the measurement of two builds, not for two files", name)
		}
	}
	return nil
}

func (cmd *regressCommand) compareBuilds(ctx context.Context, before, after string, stdout, stderr io.Writer) (_ *report.Report, err error) {
	names := cmd.workloads.Value()
	if len(names) == 0 {
		names = []string{load.CommonWorkloads}
	}
	if cmd.Workloads, err = load.SelectWorkloads(names); err != nil {
		return nil, err
	}
	if err := cmd.starts.resolve(&cmd.Servers, &cmd.Cores); err != nil {
		return nil, err
	}
	status := newStatus(stderr)
	defer status.clear()
	return report.RegressBuilds(ctx, before, after, cmd.CompareOptions, cmd.RegressOptions, compareObserver(stdout, status))
}

// compareRevisions builds two revisions and compares them.
func (cmd *regressCommand) compareRevisions(ctx context.Context, stdout, stderr io.Writer) (*report.Report, error) {
	status := newStatus(stderr)
	b, err := buildRevisions(ctx, cmd.revisions, status.show)
	if err != nil {
		return nil, err
	}
	defer b.remove()
	status.clear()
	result, err := cmd.compareBuilds(ctx, b.old.path, b.new.path, stdout, stderr)
	if result != nil && result.Regression != nil {
		result.Regression.Old, result.Regression.New = b.old.String(), b.new.String()
	}
	return result, err
}
