package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/cmd/ringcached-bench/gonet"
	"ringcached/proto"
	"ringcached/store"
)

// gonetOptions are the flags of ringcached that the server has too, and by the same names.
type gonetOptions struct {
	host, unix, itemMax          string
	port, threads, memory, conns int
	sendTimeout, drainTimeout    time.Duration
}

func newGonetCommand(stdout io.Writer) *cli.Command {
	var o gonetOptions
	return &cli.Command{
		Name:  sut.NetCommand,
		Usage: "serve as a Go programmer would write it, a goroutine for each connection, from ringcached's store: the baseline of its engines",
		Description: "The protocols and the store are ringcached's; only the sockets are served by package net. compare starts it by itself as the\n" +
			"server \"net\".",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "l", Usage: "`HOST` to listen on", Value: "127.0.0.1", Destination: &o.host},
			&cli.IntFlag{Name: "p", Usage: "TCP `PORT`, 0 for a free one", Value: 11211, Destination: &o.port},
			&cli.StringFlag{Name: "s", Usage: "`PATH` of a unix socket to listen on instead", Destination: &o.unix},
			&cli.IntFlag{Name: "t", Usage: "`N` threads that run at a time", Value: runtime.GOMAXPROCS(0), Destination: &o.threads},
			&cli.IntFlag{Name: "m", Usage: "memory for items, in `MEGABYTES`", Value: 64, Destination: &o.memory},
			&cli.IntFlag{Name: "c", Usage: "`N` connections at the most", Value: 1024, Destination: &o.conns},
			&cli.StringFlag{Name: "I", Usage: "largest item, in `BYTES` (suffixes k, m)", Value: "1m", Destination: &o.itemMax},
			&cli.DurationFlag{Name: "send-timeout", Usage: "close a connection whose peer has not taken replies for so `LONG`", Value: time.Minute, Destination: &o.sendTimeout},
			&cli.DurationFlag{Name: "drain-timeout", Usage: "how `LONG` a stop may take", Value: 5 * time.Second, Destination: &o.drainTimeout},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("gonet takes no argument, got %q", c.Args().First())
			}
			config, err := o.config()
			if err != nil {
				return err
			}
			runtime.GOMAXPROCS(o.threads)
			server, err := gonet.New(config)
			if err != nil {
				return err
			}
			network, at := "tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port))
			if o.unix != "" {
				_ = os.Remove(o.unix) // of an earlier server
				network, at = "unix", o.unix
			}
			l, err := net.Listen(network, at)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "serving with a goroutine for each connection on %v\n", l.Addr())
			return server.Serve(c.Context, l)
		},
	}
}

// config is the server's, with what ringcached has by default where no flag says otherwise.
func (o *gonetOptions) config() (c gonet.Config, err error) {
	for _, n := range []struct {
		flag  string
		value int
	}{{"t", o.threads}, {"m", o.memory}, {"c", o.conns}} {
		if n.value < 1 {
			return c, fmt.Errorf("-%s must be at least 1, not %d", n.flag, n.value)
		}
	}
	limit := int64(o.memory) << 20
	itemMax, err := parseItemMax(o.itemMax)
	if err != nil {
		return c, err
	}
	c = gonet.Config{
		Threads: o.threads, MaxConns: o.conns, SendTimeout: o.sendTimeout, DrainTimeout: o.drainTimeout,
		Store: store.Config{Limit: limit, LimitMax: max(4*limit, 1<<30), ItemMax: itemMax, Factor: 1.25, ChunkMin: 48},
		Proto: proto.Config{
			Version: "gonet",
			Settings: proto.Settings{
				TCPPort: max(o.port, 0), Evictions: true, DomainSocket: o.unix, Factor: 1.25, ChunkSize: 48,
				ItemMax: itemMax, MaxConnsFast: true, SlabReassign: true, Crawler: true, CrawlerSleep: 100,
			},
		},
	}
	return c, c.Store.Validate()
}

// parseItemMax reads bytes with a suffix k or m.
func parseItemMax(text string) (int, error) {
	digits, shift := text, 0
	for suffix, bits := range map[string]int{"k": 10, "m": 20} {
		if d, ok := strings.CutSuffix(strings.ToLower(text), suffix); ok {
			digits, shift = d, bits
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 1<<30 {
		return 0, fmt.Errorf("-I: %q is no size", text)
	}
	return n << shift, nil
}

func newNullCommand(stdout io.Writer) *cli.Command {
	var n load.NullServer
	return &cli.Command{
		Name:      "null",
		Usage:     "serve canned replies over io_uring, without parsing or storing: the lower bound for a request",
		ArgsUsage: "[ADDR]",
		Description: "For every --request bytes from a connection it sends --reply canned ones. compare --peer null starts it by itself, with the\n" +
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
