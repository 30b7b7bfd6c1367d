package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/attack"
	"ringcached/bench/sut"
)

func (p *program) attackCommand() command {
	o := attack.Options{Duration: 2 * time.Second, Alone: time.Second, Settle: 10 * time.Second, Rate: 1000, Items: 1_000_000}
	var engines list
	var alone bool
	var json string
	var loads strings.Builder
	for _, l := range attack.Loads() {
		fmt.Fprintf(&loads, "  %-16s %s\n", l.Name, l.Title)
	}
	return command{
		name: "attack", files: []*string{&json},
		usage: "attack ringcached and memcached with hostile clients, and measure a polite client beside them",
		description: "Loads:\n\n" + loads.String() + "\n" +
			"Each load has a new server, on a core that the load does not use. Attackers talk to servers on 127.0.0.1 that were started here, and to no\n" +
			"others. The polite client makes requests at a steady rate; the table has its latency, its requests that failed, the server's memory, and\n" +
			"the server's CPU time for each byte and request of the attackers. All take about twelve minutes with five servers.",
		options: append([]option{
			{categoryMeasure, "load", "only the load `NAME`, may be repeated", (*list)(&o.Loads), nil},
			{categoryMeasure, "duration", "attack for `TIME`", &o.Duration, nil},
			{categoryMeasure, "alone", "look at the polite client alone for `TIME` before", &o.Alone, nil},
			{categoryMeasure, "settle", "look at the memory again `TIME` after", &o.Settle, nil},
			{categoryMeasure, "rate", "`N` requests per second of the polite client", &o.Rate, nil},
			{categoryMeasure, "items", "`N` items in loads that need many", &o.Items, nil},
			{categoryMeasure, "most-connections", "at most `N` attackers, 0: what the load says", &o.Most, nil},
			{categoryMeasure, "json", "write everything measured to `FILE`", &json, nil},
			{categoryServers, "engine", "engine of ringcached, uring or epoll, or the baseline net, may be repeated (default: uring, epoll)", &engines, nil},
			{categoryServers, "before", "`PATH` of another build of ringcached, whose engines are attacked too", &o.Before, nil},
			{categoryServers, "no-memcached", "without memcached", &alone, nil},
		}, serverOptions(&o.Servers, &o.Cores, 2)...),
		run: func(c *cli.Context) error {
			if o.Subjects = engines; len(engines) == 0 {
				o.Subjects = []string{sut.Uring, sut.Epoll}
			}
			if !alone {
				o.Subjects = append(o.Subjects, sut.Memcached)
			}
			status := p.status()
			r, err := attack.Run(c.Context, o, status.show, p.stdout)
			status.clear()
			if r == nil {
				return err
			}
			attack.PrintSummary(p.stdout, r)
			return p.finish(c.Context, json, r, r.Failures(), err)
		},
	}
}

func (p *program) costCommand() command {
	o := attack.CostOptions{Items: 5_000_000, Connections: 1000, Duration: time.Second}
	return command{
		name: "cost", args: "ADDR", least: 1, most: 1,
		usage: "measure what small requests cost a server that holds many items",
		description: "Stores items in a running server of any kind, repeats each request, and prints the server's CPU time per request and per byte\n" +
			"of it, beside the latency of another client's gets. The last request schedules a flush of all items, some weeks ahead.",
		options: []option{
			{"", "pid", "process `ID` of the server, which must be given", &o.PID, nil},
			{"", "items", "store `N` items first, of some 70 bytes in memcached", &o.Items, nil},
			{"", "connections", "`N` idle connections beside", &o.Connections, nil},
			{"", "duration", "repeat each request for `TIME`", &o.Duration, nil},
			{"", "only", "only the request `NAME`, may be repeated", (*list)(&o.Only), nil},
		},
		run: func(c *cli.Context) error {
			if o.PID == 0 {
				return errors.New("cost needs --pid, the process of the server")
			}
			o.Addr = c.Args().First()
			return attack.Cost(c.Context, o, p.stdout)
		},
	}
}
