package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/attack"
	"ringcached/bench/evictsim"
	"ringcached/bench/storetest"
	"ringcached/bench/sut"
)

func (p *program) attackCommand() command {
	o := attack.Options{Duration: 2 * time.Second, Alone: time.Second, Settle: 10 * time.Second}
	o.Rate, o.Items = 1000, 1_000_000
	var engines list
	var alone bool
	return command{
		name: "attack",
		facts: []string{
			"{loads}", listing(attack.Loads(), 16, func(l attack.Load) (string, string) { return l.Name, l.Title }),
		},
		options: append([]option{
			{"load", (*list)(&o.Loads)}, {"duration", &o.Duration}, {"alone", &o.Alone}, {"settle", &o.Settle},
			{"rate", &o.Rate}, {"items", &o.Items}, {"most-connections", &o.Most}, {"engine", &engines},
			{"before", &o.Before}, {"no-memcached", &alone},
		}, serverOptions(&o.Servers, &o.Cores, 2)...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			if o.Subjects = engines; len(engines) == 0 {
				o.Subjects = []string{sut.Uring, sut.Epoll}
			}
			if !alone {
				o.Subjects = append(o.Subjects, sut.Memcached)
			}
			r, err := attack.Run(c.Context, o, show, p.stdout)
			if r == nil {
				return nil, err
			}
			return &outcome{result: r, print: func(w io.Writer) { attack.PrintSummary(w, r) }}, err
		},
	}
}

func (p *program) costCommand() command {
	o := attack.CostOptions{Items: 5_000_000, Connections: 1000, Duration: time.Second}
	return command{
		name: "cost", args: "ADDR", least: 1, most: 1,
		options: []option{
			{"pid", &o.PID}, {"items", &o.Items}, {"connections", &o.Connections}, {"duration", &o.Duration},
			{"only", (*list)(&o.Only)},
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

func (p *program) storeCommand() command {
	o := storetest.Options{Scale: storetest.FullScale, Seed: 1}
	if p.quick {
		o.Scale = storetest.QuickScale
	}
	z := &o.Scale
	var engine string
	var alone bool
	return command{
		name: "store", args: "[EXPERIMENT...]", most: 1000, quick: true,
		facts: []string{
			"{experiments}", listing(storetest.Experiments(), 10, func(e storetest.Experiment) (string, string) {
				return e.Name, e.Title
			}),
			"{traces}", listing(evictsim.Traces(), 10, func(t evictsim.Trace) (string, string) { return t.Name, t.Title }),
		},
		options: append([]option{
			{"trace", (*list)(&o.Traces)}, {"seed", &o.Seed}, {"alone", &alone}, {"engine", &engine}, {"items", &z.Items},
			{"pause-rate", &z.PauseRate}, {"memory", &z.DensityMB}, {"ratio-memory", &z.RatioMB},
			{"ratio-rate", &z.RatioRate}, {"seeds", &z.RatioSeeds}, {"sim-keys", &z.SimKeys},
		}, serverOptions(&o.Servers, &o.Cores, 1)...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			o.Experiments = c.Args().Slice()
			switch engine {
			case "":
				engine = sut.Ringcached
			case sut.Uring, sut.Epoll:
			default:
				return nil, fmt.Errorf("engine: %q is neither %s nor %s", engine, sut.Uring, sut.Epoll)
			}
			o.Subjects = []string{engine}
			if !alone {
				o.Subjects = append(o.Subjects, sut.Memcached)
			}
			r, err := storetest.Run(c.Context, o, show, p.stdout)
			if r == nil {
				return nil, err
			}
			return &outcome{result: r, print: func(w io.Writer) { storetest.PrintServers(w, r) }}, err
		},
	}
}
