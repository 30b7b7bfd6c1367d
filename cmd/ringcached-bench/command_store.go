package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/evictsim"
	"ringcached/bench/storetest"
	"ringcached/bench/sut"
)

func newStoreCommand(stdout, stderr io.Writer) *cli.Command {
	var o storetest.Options
	var quick, alone bool
	var engine, json string
	var traces cli.StringSlice
	var starts serverFlags
	var list strings.Builder
	for _, e := range storetest.Experiments() {
		fmt.Fprintf(&list, "  %-10s %s\n", e.Name, e.Title)
	}
	list.WriteString("\nTraces, of hit-ratio and eviction:\n\n")
	for _, t := range evictsim.Traces() {
		fmt.Fprintf(&list, "  %-10s %s\n", t.Name, t.Title)
	}
	flags := []cli.Flag{
		&cli.BoolFlag{Name: "quick", Category: categoryMeasure, Usage: "smaller experiments, within ninety seconds; other flags still count", Destination: &quick},
	}
	for _, z := range storetest.Sizes() {
		full := storetest.FullScale
		flags = append(flags, &cli.IntFlag{Name: z.Name, Category: categoryMeasure, Usage: z.Usage, Value: *z.Of(&full)})
	}
	flags = append(flags,
		&cli.StringSliceFlag{Name: "trace", Category: categoryMeasure, Usage: "only the trace `NAME` in hit-ratio and eviction, or a recorded one of the path NAME in eviction; may be repeated", Destination: &traces},
		&cli.Uint64Flag{Name: "seed", Category: categoryMeasure, Usage: "`N` from which traces are drawn", Value: 1, Destination: &o.Seed},
		starts.loadCoresFlag(categoryMeasure),
		&cli.StringFlag{Name: "json", Category: categoryMeasure, Usage: "write everything measured to `FILE`", Destination: &json},
		&cli.BoolFlag{Name: "alone", Category: categoryServers, Usage: "without memcached", Destination: &alone},
		&cli.StringFlag{Name: "engine", Category: categoryServers, Usage: "`NAME` of ringcached's engine: uring or epoll (default: ringcached's choice)", Destination: &engine},
	)
	return &cli.Command{
		Name:      "store",
		Usage:     "compare ringcached's store with memcached's: items held, hits, pauses, memory",
		ArgsUsage: "[EXPERIMENT...]",
		Description: "Experiments, all of them if none is named (flags come before the names):\n\n" + list.String() + "\n" +
			"All together take about six minutes, or ninety seconds with --quick. Each starts new servers, on a core that the load does not use.",
		Flags:        append(flags, starts.flags(&o.Servers)...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			o.Experiments, o.Traces = c.Args().Slice(), traces.Value()
			for _, name := range o.Experiments {
				if strings.HasPrefix(name, "-") {
					return fmt.Errorf("flag %q must come before the experiments", name)
				}
			}
			if o.Scale = storetest.FullScale; quick {
				o.Scale = storetest.QuickScale
			}
			for _, z := range storetest.Sizes() {
				if c.IsSet(z.Name) {
					*z.Of(&o.Scale) = c.Int(z.Name)
				}
			}
			switch engine {
			case "":
				o.Subjects = []string{sut.Ringcached}
			case sut.Uring, sut.Epoll:
				o.Subjects = []string{engine}
			default:
				return fmt.Errorf("engine: %q is neither %s nor %s", engine, sut.Uring, sut.Epoll)
			}
			if !alone {
				o.Subjects = append(o.Subjects, sut.Memcached)
			}
			if err := starts.resolve(&o.Servers, &o.Cores); err != nil {
				return err
			}
			return measureAndReport(c.Context, stdout, stderr, json, func(status *status) (*storetest.Report, error) {
				return storetest.Run(c.Context, o, status.stage, stdout)
			}, storetest.PrintServers)
		},
	}
}
