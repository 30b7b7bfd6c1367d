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
	w, noPreload := &o.Workload, false
	return command{
		name: "run", args: "[ADDR]", most: 1,
		options: []option{
			{"addr", &o.Addr, nil}, {"duration", &o.Duration, nil}, {"warmup", &o.Warmup, nil}, {"requests", &o.Requests, nil},
			{"threads", &o.Threads, nil}, {"driver", &o.Driver, nil}, {"seed", &o.Seed, nil}, {"no-preload", &noPreload, nil},
			{"connections", &w.Connections, nil}, {"pipeline", &w.Pipeline, nil}, {"value-size", &w.ValueSize, nil}, {"key-size", &w.KeySize, nil},
			{"keys", &w.Keys, nil}, {"key-dist", &w.KeyDist, nil}, {"zipf-s", &w.ZipfS, nil}, {"ratio", mix{&w.Gets, &w.Sets}, nil},
			{"multiget", &w.Multiget, nil}, {"requests-per-connection", &w.RequestsPerConnection, nil}, {"protocol", &w.Protocol, nil},
			{"rate", &w.Rate, nil}, {"transport", &w.Transport, nil},
		},
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			if c.NArg() == 1 {
				o.Addr = c.Args().First()
			}
			if !c.IsSet("transport") {
				w.Transport = load.TransportOf(o.Addr)
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
			{"addr", &o.Addr, nil}, {"speed", &o.Speed, nil}, {"connections", &o.Connections, nil}, {"pipeline", &o.Pipeline, nil}, {"fill", &o.Fill, nil},
			{"ttl", &o.TTL, nil}, {"skip-bad", &o.SkipBad, nil}, {"limit", &o.Limit, nil}, {"duration", &o.Duration, nil},
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
