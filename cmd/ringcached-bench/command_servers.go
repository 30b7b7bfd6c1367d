package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/cmd/ringcached-bench/gonet"
	"ringcached/cmd/ringcached/config"
	"ringcached/proto"
)

// gonetCommand has the flags of ringcached that the server has too, and their defaults.
func (p *program) gonetCommand() command {
	host, port, unix := "127.0.0.1", 11211, ""
	like := config.New()
	options, flags := []option{{"l", &host}, {"p", &port}, {"s", &unix}}, like.Flags()
	for _, name := range []string{"t", "m", "c", "I", "send-timeout", "drain-timeout"} {
		i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		options = append(options, option{name, flags[i].(*cli.GenericFlag).Value})
	}
	return command{
		name: sut.NetCommand, options: options,
		run: func(c *cli.Context) error {
			b, m := &like.Engine.Batch, &like.Memory
			o := gonet.Config{
				Threads: b.Threads, MaxConns: like.Network.MaxConns, SendTimeout: b.SendTimeout, DrainTimeout: b.DrainTimeout,
				Store: like.Store(),
				Proto: proto.Config{Version: "gonet", Settings: proto.Settings{
					TCPPort: max(port, 0), Evictions: true, DomainSocket: unix, Factor: m.Factor, ChunkSize: m.ItemMin,
					ItemMax: int(m.ItemMax), MaxConnsFast: true, SlabReassign: true, Crawler: true, CrawlerSleep: 100,
				}},
			}
			if err := o.Store.Validate(); err != nil {
				return err
			}
			runtime.GOMAXPROCS(o.Threads)
			network, at := "tcp", net.JoinHostPort(host, strconv.Itoa(port))
			if unix != "" {
				_ = os.Remove(unix) // of an earlier server
				network, at = "unix", unix
			}
			l, err := net.Listen(network, at)
			if err != nil {
				return err
			}
			server, err := gonet.New(o)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "serving with a goroutine for each connection on %v\n", l.Addr())
			return server.Serve(c.Context, l)
		},
	}
}

func (p *program) nullCommand() command {
	n := load.NullServer{Request: len("get ") + 20 + len("\r\n"), Reply: len("END\r\n")}
	return command{
		name: "null", args: "[ADDR]", most: 1,
		options: []option{{"request", &n.Request}, {"reply", &n.Reply}},
		run: func(c *cli.Context) error {
			addr := cmp.Or(c.Args().First(), defaultAddr)
			return n.Run(c.Context, addr, func(a net.Addr) { fmt.Fprintf(p.stdout, "serving canned replies on %v\n", a) })
		},
	}
}
