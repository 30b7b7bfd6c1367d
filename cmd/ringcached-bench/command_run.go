package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/replay"
	"ringcached/bench/sut"
)

func (p *program) runCommand() command {
	o := load.RunOptions{Options: load.Options{Workload: load.DefaultWorkload(), Addr: "127.0.0.1:11211", Threads: 1, Driver: load.DriverAuto, Seed: 1}}
	o.Duration, o.Warmup, o.Workload.Protocol = 10*time.Second, time.Second, load.ProtocolText
	var noPreload bool
	return command{
		name: "run", args: "[ADDR]", most: 1,
		options: append([]option{
			{"", "addr", "`ADDRESS` of the server: host:port or unix:PATH", &o.Addr, nil},
			{categoryMeasure, "duration", "measure for `TIME`", &o.Duration, nil},
			{categoryMeasure, "warmup", "run for `TIME` before measuring; not with --requests", &o.Warmup, nil},
			{categoryMeasure, "requests", "end after `N` requests at the latest; 0: no such end", &o.Requests, nil},
			{categoryLoad, "no-preload", "do not store the keys first", &noPreload, nil},
		}, append(workloadOptions(&o.Workload), driverOptions(&o.Threads, &o.Driver, &o.Seed)...)...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			if c.NArg() == 1 {
				o.Addr = c.Args().First()
			}
			if !c.IsSet("transport") {
				o.Workload.Transport = load.TransportOf(o.Addr)
			}
			var last int64
			o.Preload, o.Stage, o.Tick = !noPreload, show, func(elapsed time.Duration, operations int64) {
				show(fmt.Sprintf("%v: %d operations, %d in the last second", elapsed.Round(time.Second), operations, max(operations-last, 0)))
				last = operations
			}
			result := struct {
				sut.Header
				Run *load.RunResult `json:"run"`
			}{Header: sut.NewHeader("run", &o)}
			run, err := load.Run(c.Context, o)
			if run == nil {
				return nil, err
			}
			result.Run = run
			result.Finish()
			return &outcome{result: &result, print: func(w io.Writer) { load.PrintRun(w, run) }, failures: lines(run.Failed())}, err
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

func (p *program) replayCommand() command {
	o := replay.Options{Addr: "127.0.0.1:11211", Speed: 1, Connections: 50, Pipeline: 1, TTL: replay.TTLRecorded}
	return command{
		name: "replay", args: "TRACE", least: 1, most: 1,
		options: []option{
			{"", "addr", "`HOST:PORT` of the server, or unix:PATH", &o.Addr, nil},
			{categoryLoad, "speed", "`N` times as fast as recorded; 0: as fast as the server answers", &o.Speed, nil},
			{categoryLoad, "connections", "spread the clients of the trace over `N` connections", &o.Connections, nil},
			{categoryLoad, "pipeline", "send up to `N` requests that are due at once on a connection", &o.Pipeline, nil},
			{categoryLoad, "fill", "store what a get missed, as look-aside caches do", &o.Fill, nil},
			{categoryLoad, "ttl", "times to live are `HOW`: recorded (passed on), scaled (by --speed) or ignored", &o.TTL, nil},
			{categoryLoad, "skip-bad", "count what is no request in the trace instead of ending there", &o.SkipBad, nil},
			{categoryMeasure, "limit", "end after `N` requests; 0: no such end", &o.Limit, nil},
			{categoryMeasure, "duration", "end after `TIME`; 0: no such end", &o.Duration, nil},
		},
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			o.Trace = c.Args().First()
			o.Tick = func(at replay.Progress) {
				line := fmt.Sprintf("%v: %d requests", at.Elapsed.Round(time.Second), at.Requests)
				if !math.IsNaN(at.HitRatio) {
					line += fmt.Sprintf(", %.2f %% hits", 100*at.HitRatio)
				}
				if o.Speed > 0 {
					line += fmt.Sprintf(", %v late", at.Late.Round(10*time.Microsecond))
				}
				show(line)
			}
			r, err := replay.Run(c.Context, o)
			if r == nil {
				return nil, err
			}
			return &outcome{result: r, print: func(w io.Writer) { replay.Print(w, r.Replay) }, failures: lines(r.Replay.Failed())}, err
		},
	}
}
