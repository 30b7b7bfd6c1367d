package main

import (
	"errors"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench"
)

func newCostCommand(stdout io.Writer) *cli.Command {
	var o bench.CostOptions
	var only cli.StringSlice
	return &cli.Command{
		Name:      "cost",
		Usage:     "what small requests cost a server that has many items",
		ArgsUsage: "ADDR",
		Description: "Stores items in a running server, of any kind, and asks each request again and again: CPU time of the server for one, and for a\n" +
			"byte of it, beside the latency of another client's gets. The last request flushes the items, in some weeks.",
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
			return bench.Cost(c.Context, o, stdout)
		},
	}
}
