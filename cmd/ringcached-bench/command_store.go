package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/evictsim"
	"ringcached/bench/storetest"
	"ringcached/bench/sut"
)

func (p *program) storeCommand() command {
	o := storetest.Options{Scale: storetest.FullScale, Seed: 1}
	quick := storetest.QuickScale
	var engine, json string
	var alone bool
	var about strings.Builder
	for _, e := range storetest.Experiments() {
		fmt.Fprintf(&about, "  %-10s %s\n", e.Name, e.Title)
	}
	about.WriteString("\nTraces, of hit-ratio and eviction:\n\n")
	for _, t := range evictsim.Traces() {
		fmt.Fprintf(&about, "  %-10s %s\n", t.Name, t.Title)
	}
	options := []option{
		{categoryMeasure, "trace", "only the trace `NAME` in hit-ratio and eviction, or a recorded one of the path NAME in eviction; may be repeated",
			(*list)(&o.Traces), nil},
		{categoryMeasure, "seed", "`N` from which traces are drawn", &o.Seed, nil},
		{categoryMeasure, "json", "write everything measured to `FILE`", &json, nil},
		{categoryServers, "alone", "without memcached", &alone, nil},
		{categoryServers, "engine", "`NAME` of ringcached's engine: uring or epoll (default: ringcached's choice)", &engine, nil},
	}
	for _, z := range storetest.Sizes() {
		options = append(options, option{categoryMeasure, z.Name, z.Usage, z.Of(&o.Scale), *z.Of(&quick)})
	}
	return command{
		name: "store", args: "[EXPERIMENT...]", most: 1000, quick: true, files: []*string{&json},
		usage: "compare ringcached's store with memcached's: items held, hits, pauses, memory",
		description: "Experiments, all of them if none is named:\n\n" + about.String() + "\n" +
			"All together take about six minutes, or ninety seconds with --quick. Each starts new servers, on a core that the load does not use.",
		options: append(options, serverOptions(&o.Servers, &o.Cores, 1)...),
		run: func(c *cli.Context) error {
			o.Experiments = c.Args().Slice()
			if c.Bool("quick") {
				o.Scale.Warmup, o.Scale.Counted, o.Scale.SimSeeds = quick.Warmup, quick.Counted, quick.SimSeeds
			}
			switch engine {
			case "":
				engine = sut.Ringcached
			case sut.Uring, sut.Epoll:
			default:
				return fmt.Errorf("engine: %q is neither %s nor %s", engine, sut.Uring, sut.Epoll)
			}
			o.Subjects = []string{engine}
			if !alone {
				o.Subjects = append(o.Subjects, sut.Memcached)
			}
			status := p.status()
			r, err := storetest.Run(c.Context, o, status.show, p.stdout)
			status.clear()
			if r == nil {
				return err
			}
			storetest.PrintServers(p.stdout, r)
			return p.finish(c.Context, json, r, r.Failures(), err)
		},
	}
}
