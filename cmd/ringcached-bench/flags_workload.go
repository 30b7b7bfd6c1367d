package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
)

const (
	categoryLoad    = "Load"
	categoryMeasure = "Measurement"
	categoryServers = "Servers"
)

// workloadFlags describe a workload of the user's own. They write to w, which holds the defaults.
func workloadFlags(w *load.Workload) []cli.Flag {
	integer := func(name, usage string, p *int) cli.Flag {
		return &cli.IntFlag{Name: name, Category: categoryLoad, Usage: usage, Value: *p, Destination: p}
	}
	return []cli.Flag{
		integer("connections", "`N` connections, all threads together", &w.Connections),
		integer("pipeline", "send `N` requests at once, and the next ones when all are answered", &w.Pipeline),
		integer("value-size", "values of `N` bytes", &w.ValueSize),
		integer("key-size", "keys of `N` bytes", &w.KeySize),
		integer("keys", "`N` different keys", &w.Keys),
		&cli.StringFlag{Name: "key-dist", Category: categoryLoad, Usage: "how keys are drawn: uniform or zipf", Value: w.KeyDist, Destination: &w.KeyDist},
		&cli.Float64Flag{Name: "zipf-s", Category: categoryLoad, Usage: "exponent `S` of zipf", Value: w.ZipfS, Destination: &w.ZipfS},
		&cli.GenericFlag{Name: "ratio", Category: categoryLoad, Usage: "`GET:SET`, such as 90:10, 1:0 or 0:1", Value: (*ratio)(w), DefaultText: (*ratio)(w).String()},
		integer("multiget", "`N` keys in each get", &w.Multiget),
		integer("requests-per-connection", "close and reopen a connection after `N` requests; 0: never", &w.RequestsPerConnection),
		&cli.StringFlag{
			Name: "protocol", Category: categoryLoad, Destination: &w.Protocol, Value: load.ProtocolText,
			Usage: "`NAME` of what requests are written in: text, meta or binary, where a multiget is a run of GetKQ",
		},
		&cli.Float64Flag{
			Name: "rate", Category: categoryLoad, Destination: &w.Rate,
			Usage: "`N` requests arrive in a second, at random times, whatever the server does; latency counts from then (0: connections " +
				"ask again when they are answered)",
		},
		&cli.StringFlag{
			Name: "transport", Category: categoryLoad, Destination: &w.Transport, DefaultText: "unix for an address unix:PATH, else tcp",
			Usage: "`NAME` of what requests go over: tcp, unix or udp (keys are then stored over TCP, on the same port)",
		},
	}
}

// ratio reads the parts of a mix into a workload.
type ratio load.Workload

func (r *ratio) Set(s string) error {
	gets, sets, err := parseRatio(s)
	if err == nil {
		r.Gets, r.Sets = gets, sets
	}
	return err
}

func parseRatio(text string) (gets, sets int, err error) {
	g, s, ok := strings.Cut(text, ":")
	gets, gerr := strconv.Atoi(g)
	sets, serr := strconv.Atoi(s)
	if !ok || gerr != nil || serr != nil || gets < 0 || sets < 0 || gets+sets == 0 {
		return 0, 0, fmt.Errorf("%q is not two numbers such as 90:10", text)
	}
	return gets, sets, nil
}

func (r *ratio) String() string { return fmt.Sprintf("%d:%d", r.Gets, r.Sets) }
