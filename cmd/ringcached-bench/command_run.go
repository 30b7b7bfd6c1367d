package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

func (p *program) runCommand() command {
	o := load.RunOptions{Options: load.Options{Workload: load.DefaultWorkload(), Addr: "127.0.0.1:11211", Threads: 1, Driver: load.DriverAuto, Seed: 1}}
	o.Duration, o.Warmup, o.Workload.Protocol = 10*time.Second, time.Second, load.ProtocolText
	var noPreload bool
	var json string
	return command{
		name: "run", args: "[ADDR]", most: 1, files: []*string{&json},
		usage: "run one load against one server and check every reply",
		options: append([]option{
			{"", "addr", "`ADDRESS` of the server: host:port or unix:PATH", &o.Addr, nil},
			{categoryMeasure, "duration", "measure for `TIME`", &o.Duration, nil},
			{categoryMeasure, "warmup", "run for `TIME` before measuring; not with --requests", &o.Warmup, nil},
			{categoryMeasure, "requests", "end after `N` requests at the latest; 0: no such end", &o.Requests, nil},
			{categoryMeasure, "json", "write the result to `FILE` too", &json, nil},
			{categoryLoad, "threads", "`N` threads make the load", &o.Threads, nil},
			{categoryLoad, "driver", "`NAME` of what moves the bytes: ring (io_uring), epoll or auto", &o.Driver, nil},
			{categoryLoad, "seed", "`N` from which keys are drawn", &o.Seed, nil},
			{categoryLoad, "no-preload", "do not store the keys first", &noPreload, nil},
		}, workloadOptions(&o.Workload)...),
		run: func(c *cli.Context) error {
			if c.NArg() == 1 {
				o.Addr = c.Args().First()
			}
			if !c.IsSet("transport") {
				o.Workload.Transport = load.TransportOf(o.Addr)
			}
			o.Preload = !noPreload
			status := p.status()
			o.Stage = status.show
			var last int64
			o.Tick = func(elapsed time.Duration, operations int64) {
				status.show(fmt.Sprintf("%v: %d operations, %d in the last second", elapsed.Round(time.Second), operations, max(operations-last, 0)))
				last = operations
			}
			result := struct {
				sut.Header
				Run *load.RunResult `json:"run"`
			}{Header: sut.NewHeader("run", &o)}
			run, err := load.Run(c.Context, o)
			status.clear()
			if run == nil {
				return err
			}
			result.Run = run
			result.Finish()
			load.PrintRun(p.stdout, run)
			return p.finish(context.Background(), json, &result, lines(run.Failed()), err)
		},
	}
}

// lines is a line, if it says anything.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
