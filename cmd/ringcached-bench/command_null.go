package main

import (
	"fmt"
	"io"
	"net"

	"github.com/urfave/cli/v2"

	"ringcached/bench"
)

func newNullCommand(stdout io.Writer) *cli.Command {
	var n bench.NullServer
	return &cli.Command{
		Name:      "null",
		Usage:     "serve canned replies over io_uring, without parsing or storing: the least that a request can cost",
		ArgsUsage: "[ADDR]",
		Description: "Every so many bytes that a connection sends earn it so many canned ones. compare --peer null starts it by itself, with the\n" +
			"sizes of the workload.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "request", Usage: "`BYTES` of a request", Value: len("get ") + 20 + len("\r\n"), Destination: &n.Request},
			&cli.IntFlag{Name: "reply", Usage: "`BYTES` of its reply", Value: len("END\r\n"), Destination: &n.Reply},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			addr := "127.0.0.1:11211"
			switch c.NArg() {
			case 0:
			case 1:
				addr = c.Args().First()
			default:
				return fmt.Errorf("null takes one address, got %q too (flags come before it)", c.Args().Get(1))
			}
			return n.Run(c.Context, addr, func(a net.Addr) { fmt.Fprintf(stdout, "serving canned replies on %v\n", a) })
		},
	}
}
