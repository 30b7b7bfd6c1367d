package main

import (
	"fmt"
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

// gonetCommand has the flags of ringcached that the server has too, by the same names and with the same defaults.
func (p *program) gonetCommand() command {
	o := gonet.Config{Threads: runtime.GOMAXPROCS(0), MaxConns: 1024, SendTimeout: time.Minute, DrainTimeout: 5 * time.Second}
	host, port, unix, memory, itemMax := "127.0.0.1", 11211, "", 64, "1m"
	return command{
		name: sut.NetCommand,
		options: []option{
			{"l", &host, nil}, {"p", &port, nil}, {"s", &unix, nil}, {"t", &o.Threads, nil}, {"m", &memory, nil}, {"c", &o.MaxConns, nil},
			{"I", &itemMax, nil}, {"send-timeout", &o.SendTimeout, nil}, {"drain-timeout", &o.DrainTimeout, nil},
		},
		run: func(c *cli.Context) error {
			for flag, value := range map[string]int{"t": o.Threads, "m": memory, "c": o.MaxConns} {
				if value < 1 {
					return fmt.Errorf("-%s must be at least 1, not %d", flag, value)
				}
			}
			largest, err := parseItemMax(itemMax)
			if err != nil {
				return err
			}
			limit := int64(memory) << 20
			o.Store = store.Config{Limit: limit, LimitMax: max(4*limit, 1<<30), ItemMax: largest, Factor: 1.25, ChunkMin: 48}
			o.Proto = proto.Config{Version: "gonet", Settings: proto.Settings{
				TCPPort: max(port, 0), Evictions: true, DomainSocket: unix, Factor: 1.25, ChunkSize: 48,
				ItemMax: largest, MaxConnsFast: true, SlabReassign: true, Crawler: true, CrawlerSleep: 100,
			}}
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

func (p *program) nullCommand() command {
	n := load.NullServer{Request: len("get ") + 20 + len("\r\n"), Reply: len("END\r\n")}
	return command{
		name: "null", args: "[ADDR]", most: 1,
		options: []option{{"request", &n.Request, nil}, {"reply", &n.Reply, nil}},
		run: func(c *cli.Context) error {
			addr := "127.0.0.1:11211"
			if c.NArg() == 1 {
				addr = c.Args().First()
			}
			return n.Run(c.Context, addr, func(a net.Addr) { fmt.Fprintf(p.stdout, "serving canned replies on %v\n", a) })
		},
	}
}
