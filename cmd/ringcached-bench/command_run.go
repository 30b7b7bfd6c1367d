package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/replay"
	"ringcached/bench/sut"
)

// defaultAddr is where a server is that was started without any flags.
const defaultAddr = "127.0.0.1:11211"

func (p *program) runCommand() command {
	o := load.RunOptions{Duration: 10 * time.Second, Warmup: time.Second}
	o.Options = load.Options{Workload: load.DefaultWorkload(), Threads: 1, Driver: load.DriverAuto, Seed: 1}
	o.Addr, o.Workload.Protocol = defaultAddr, load.ProtocolText
	w, noPreload, secure := &o.Workload, false, new(encryption)
	return command{
		name: "run", args: "[ADDR]", most: 1,
		options: append(secure.options(), []option{
			{"addr", &o.Addr}, {"duration", &o.Duration}, {"warmup", &o.Warmup}, {"requests", &o.Requests},
			{"threads", &o.Threads}, {"driver", &o.Driver}, {"seed", &o.Seed}, {"no-preload", &noPreload},
			{"connections", &w.Connections}, {"pipeline", &w.Pipeline}, {"value-size", &w.ValueSize}, {"key-size", &w.KeySize},
			{"keys", &w.Keys}, {"key-dist", &w.KeyDist}, {"zipf-s", &w.ZipfS}, {"ratio", mix{&w.Gets, &w.Sets}},
			{"multiget", &w.Multiget}, {"requests-per-connection", &w.RequestsPerConnection}, {"protocol", &w.Protocol},
			{"rate", &w.Rate}, {"transport", &w.Transport}, {"resume", &w.Resume},
		}...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			if c.NArg() == 1 {
				o.Addr = c.Args().First()
			}
			if !c.IsSet("transport") {
				w.Transport = load.TransportOf(o.Addr)
			}
			if err := secure.of(&o.Endpoint); err != nil {
				return nil, err
			}
			if w.Resume && o.TLS == nil {
				return nil, errors.New("resume: without --tls there are no sessions")
			}
			var last int64
			o.Preload, o.Stage, o.Tick = !noPreload, show, func(elapsed time.Duration, operations int64) {
				elapsed, lately := elapsed.Round(time.Second), max(operations-last, 0)
				show(fmt.Sprintf("%v: %d operations, %d in the last second", elapsed, operations, lately))
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
			shown := func(w io.Writer) { load.PrintRun(w, run) }
			return &outcome{result: &result, print: shown, failures: []string{run.Failed()}}, err
		},
	}
}

func (p *program) replayCommand() command {
	o := replay.Options{Speed: 1, Connections: 50, Pipeline: 1, TTL: replay.TTLRecorded}
	o.Addr = defaultAddr
	secure := new(encryption)
	return command{
		name: "replay", args: "TRACE", least: 1, most: 1,
		options: append(secure.options(), []option{
			{"addr", &o.Addr}, {"speed", &o.Speed}, {"connections", &o.Connections}, {"pipeline", &o.Pipeline},
			{"fill", &o.Fill}, {"ttl", &o.TTL}, {"skip-bad", &o.SkipBad}, {"limit", &o.Limit}, {"duration", &o.Duration},
		}...),
		measure: func(c *cli.Context, show func(string)) (*outcome, error) {
			o.Trace = c.Args().First()
			if err := secure.of(&o.Endpoint); err != nil {
				return nil, err
			}
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
			shown := func(w io.Writer) { replay.Print(w, r.Replay) }
			return &outcome{result: r, print: shown, failures: []string{r.Replay.Failed()}}, err
		},
	}
}
