package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/evictsim"

	"ringcached/bench/storetest"
	"ringcached/bench/sut"
)

// storeCommand holds the options of `store`.
type storeCommand struct {
	storetest.Options
	quick  bool
	alone  bool
	engine string
	traces cli.StringSlice
	starts serverFlags
	json   string
	scale  storetest.Scale // what flags say of it
}

func newStoreCommand(stdout, stderr io.Writer) *cli.Command {
	cmd := &storeCommand{scale: storetest.FullScale}
	names, titles := storetest.Experiments()
	var list strings.Builder
	for i := range names {
		fmt.Fprintf(&list, "  %-10s %s\n", names[i], titles[i])
	}
	list.WriteString("\nTraces, of hit-ratio and eviction:\n\n")
	for _, t := range evictsim.Traces() {
		fmt.Fprintf(&list, "  %-10s %s\n", t.Name, t.Title)
	}
	return &cli.Command{
		Name:      "store",
		Usage:     "compare ringcached's store with memcached's: items held, hits, pauses, memory",
		ArgsUsage: "[EXPERIMENT...]",
		Description: "Experiments, all of them if none is named (flags come before the names):\n\n" + list.String() + "\n" +
			"All together take about six minutes, or ninety seconds with --quick. Each starts new servers, on a core that the load does not use.",
		Flags:        append(cmd.measureFlags(), cmd.serverFlags()...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			cmd.Experiments = c.Args().Slice()
			for _, name := range cmd.Experiments {
				if strings.HasPrefix(name, "-") {
					return fmt.Errorf("flag %q must come before the experiments", name)
				}
			}
			if err := cmd.resolve(c); err != nil {
				return err
			}
			return cmd.run(c.Context, stdout, stderr)
		},
	}
}

func (cmd *storeCommand) measureFlags() []cli.Flag {
	z := &cmd.scale
	integer := func(name, usage string, p *int) cli.Flag {
		return &cli.IntFlag{Name: name, Category: categoryMeasure, Usage: usage, Value: *p, Destination: p}
	}
	return []cli.Flag{
		&cli.BoolFlag{Name: "quick", Category: categoryMeasure, Usage: "smaller experiments, within ninety seconds; other flags still count", Destination: &cmd.quick},
		integer("items", "`N` items in pause and memory", &z.Items),
		integer("pause-rate", "`N` sets per second in pause", &z.PauseRate),
		integer("memory", "`MB` of memory in density (-m)", &z.DensityMB),
		integer("ratio-memory", "`MB` of memory in hit-ratio (-m)", &z.RatioMB),
		integer("ratio-rate", "`N` requests per second in hit-ratio", &z.RatioRate),
		integer("seeds", "`N` traces of each kind in hit-ratio", &z.RatioSeeds),
		integer("sim-keys", "`N` keys in eviction", &z.SimKeys),
		&cli.StringSliceFlag{Name: "trace", Category: categoryMeasure, Usage: "only the trace `NAME` in hit-ratio and eviction, may be repeated", Destination: &cmd.traces},
		&cli.Uint64Flag{Name: "seed", Category: categoryMeasure, Usage: "`N` from which traces are drawn", Value: 1, Destination: &cmd.Seed},
		cmd.starts.loadCoresFlag(categoryMeasure),
		&cli.StringFlag{Name: "json", Category: categoryMeasure, Usage: "write everything measured to `FILE`", Destination: &cmd.json},
	}
}

func (cmd *storeCommand) serverFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.BoolFlag{Name: "alone", Category: categoryServers, Usage: "without memcached", Destination: &cmd.alone},
		&cli.StringFlag{Name: "engine", Category: categoryServers, Usage: "`NAME` of ringcached's engine: uring or epoll (default: ringcached's choice)", Destination: &cmd.engine},
	}, cmd.starts.flags(&cmd.Servers)...)
}

// resolve turns what the flags say into options.
func (cmd *storeCommand) resolve(c *cli.Context) (err error) {
	cmd.Scale = cmd.scale
	if cmd.quick {
		cmd.Scale = storetest.QuickScale
		for _, f := range []struct {
			flag     string
			to, from *int
		}{
			{"items", &cmd.Scale.Items, &cmd.scale.Items},
			{"pause-rate", &cmd.Scale.PauseRate, &cmd.scale.PauseRate},
			{"memory", &cmd.Scale.DensityMB, &cmd.scale.DensityMB},
			{"ratio-memory", &cmd.Scale.RatioMB, &cmd.scale.RatioMB},
			{"ratio-rate", &cmd.Scale.RatioRate, &cmd.scale.RatioRate},
			{"seeds", &cmd.Scale.RatioSeeds, &cmd.scale.RatioSeeds},
			{"sim-keys", &cmd.Scale.SimKeys, &cmd.scale.SimKeys},
		} {
			if c.IsSet(f.flag) {
				*f.to = *f.from
			}
		}
	}
	switch cmd.engine {
	case "":
		cmd.Subjects = []string{sut.Ringcached}
	case sut.Uring, sut.Epoll:
		cmd.Subjects = []string{cmd.engine}
	default:
		return fmt.Errorf("engine: %q is neither %s nor %s", cmd.engine, sut.Uring, sut.Epoll)
	}
	if !cmd.alone {
		cmd.Subjects = append(cmd.Subjects, sut.Memcached)
	}
	cmd.Traces = cmd.traces.Value()
	return cmd.starts.resolve(&cmd.Servers, &cmd.Cores)
}

func (cmd *storeCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	return measureAndReport(ctx, stdout, stderr, cmd.json, func(status *status) (*storetest.Report, error) {
		return storetest.Run(ctx, cmd.Options, storetest.Observer{
			Begin: func(r *storetest.Report) { storetest.PrintHeading(stdout, r) },
			Stage: status.show,
			Result: func(name, title string, r storetest.Result) {
				status.clear()
				fmt.Fprintf(stdout, "%s: %s\n", name, title)
				r.Print(stdout)
				fmt.Fprintln(stdout)
			},
		})
	}, storetest.PrintServers)
}
