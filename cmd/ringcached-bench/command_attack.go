package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/attack"
	"ringcached/bench/sut"
)

func newAttackCommand(stdout, stderr io.Writer) *cli.Command {
	var o attack.Options
	var loads, engines cli.StringSlice
	var alone bool
	var json string
	starts := serverFlags{threads: 2}
	var list strings.Builder
	for _, l := range attack.Loads() {
		fmt.Fprintf(&list, "  %-16s %s\n", l.Name, l.Title)
	}
	const category = categoryMeasure
	flags := []cli.Flag{
		&cli.StringSliceFlag{Name: "load", Category: category, Usage: "only the load `NAME`, may be repeated", Destination: &loads},
		&cli.DurationFlag{Name: "duration", Category: category, Usage: "attack for `TIME`", Value: 2 * time.Second, Destination: &o.Duration},
		&cli.DurationFlag{Name: "alone", Category: category, Usage: "look at the polite client alone for `TIME` before", Value: time.Second, Destination: &o.Alone},
		&cli.DurationFlag{Name: "settle", Category: category, Usage: "look at the memory again `TIME` after", Value: 10 * time.Second, Destination: &o.Settle},
		&cli.Float64Flag{Name: "rate", Category: category, Usage: "`N` requests per second of the polite client", Value: 1000, Destination: &o.Rate},
		&cli.IntFlag{Name: "items", Category: category, Usage: "`N` items in loads that need many", Value: 1_000_000, Destination: &o.Items},
		&cli.IntFlag{Name: "most-connections", Category: category, Usage: "at most `N` attackers (default: what the load says)", Destination: &o.Most},
		starts.loadCoresFlag(category),
		&cli.StringFlag{Name: "json", Category: category, Usage: "write everything measured to `FILE`", Destination: &json},
		&cli.StringSliceFlag{
			Name: "engine", Category: categoryServers, Usage: "engine of ringcached, uring or epoll, or the baseline net, may be repeated (default: uring, epoll)", Destination: &engines,
		},
		&cli.StringFlag{Name: "before", Category: categoryServers, Usage: "`PATH` of another build of ringcached, whose engines are attacked too", Destination: &o.Before},
		&cli.BoolFlag{Name: "no-memcached", Category: categoryServers, Usage: "without memcached", Destination: &alone},
	}
	return &cli.Command{
		Name:  "attack",
		Usage: "attack ringcached and memcached with hostile clients, and measure a polite client beside them",
		Description: "Loads:\n\n" + list.String() + "\n" +
			"Each load has a new server, on a core that the load does not use. Attackers talk to servers on 127.0.0.1 that were started here, and to no\n" +
			"others. The polite client makes requests at a steady rate; the table has its latency, its requests that failed, the server's memory, and\n" +
			"the server's CPU time for each byte and request of the attackers. All take about twelve minutes with five servers.",
		Flags:        append(flags, starts.flags(&o.Servers)...),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("attack takes no arguments, got %q: it starts the servers itself", c.Args().First())
			}
			o.Loads = loads.Value()
			if o.Subjects = engines.Value(); len(o.Subjects) == 0 {
				o.Subjects = []string{sut.Uring, sut.Epoll}
			}
			if !alone {
				o.Subjects = append(o.Subjects, sut.Memcached)
			}
			if err := starts.resolve(&o.Servers, &o.Cores); err != nil {
				return err
			}
			return measureAndReport(c.Context, stdout, stderr, json, func(status *status) (*attack.Report, error) {
				return attack.Run(c.Context, o, status.stage, stdout)
			}, attack.PrintSummary)
		},
	}
}

func newCostCommand(stdout io.Writer) *cli.Command {
	var o attack.CostOptions
	var only cli.StringSlice
	return &cli.Command{
		Name:      "cost",
		Usage:     "measure what small requests cost a server that holds many items",
		ArgsUsage: "ADDR",
		Description: "Stores items in a running server of any kind, repeats each request, and prints the server's CPU time per request and per byte of it,\n" +
			"beside the latency of another client's gets. The last request schedules a flush of all items, some weeks ahead.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "pid", Usage: "process `ID` of the server", Required: true, Destination: &o.PID},
			&cli.IntFlag{Name: "items", Usage: "store `N` items first, of some 70 bytes in memcached", Value: 5_000_000, Destination: &o.Items},
			&cli.IntFlag{Name: "connections", Usage: "`N` idle connections beside", Value: 1000, Destination: &o.Connections},
			&cli.DurationFlag{Name: "duration", Usage: "repeat each request for `TIME`", Value: time.Second, Destination: &o.Duration},
			&cli.StringSliceFlag{Name: "only", Usage: "only the request `NAME`, may be repeated", Destination: &only},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errors.New("cost takes one address (flags come before it)")
			}
			o.Addr, o.Only = c.Args().First(), only.Value()
			return attack.Cost(c.Context, o, stdout)
		},
	}
}
