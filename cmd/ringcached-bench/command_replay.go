package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/replay"
)

func (p *program) replayCommand() command {
	o := replay.Options{Addr: "127.0.0.1:11211", Speed: 1, Connections: 50, Pipeline: 1, TTL: replay.TTLRecorded}
	var json string
	return command{
		name: "replay", args: "TRACE", least: 1, most: 1, files: []*string{&json},
		usage: "replay a recorded trace against one server, in its own time or faster, and check every reply",
		description: "TRACE is a file, or - for the standard input, in Twitter's format of lines of time,key,key size,value size,client,operation,TTL,\n" +
			"in Meta's of rows below a header, in libCacheSim's oracleGeneral, or of lines of time,key,size (docs/traces.md). It may be\n" +
			"compressed with gzip or Zstandard. The last two have nothing but gets: they need --fill.",
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
			{categoryMeasure, "json", "write the result to `FILE` too", &json, nil},
		},
		run: func(c *cli.Context) error {
			o.Trace = c.Args().First()
			status := p.status()
			o.Tick = func(at replay.Progress) {
				line := fmt.Sprintf("%v: %d requests", at.Elapsed.Round(time.Second), at.Requests)
				if !math.IsNaN(at.HitRatio) {
					line += fmt.Sprintf(", %.2f %% hits", 100*at.HitRatio)
				}
				if o.Speed > 0 {
					line += fmt.Sprintf(", %v late", at.Late.Round(10*time.Microsecond))
				}
				status.show(line)
			}
			result, err := replay.Run(c.Context, o)
			status.clear()
			if result == nil {
				return err
			}
			replay.Print(p.stdout, result.Replay)
			return p.finish(context.Background(), json, result, lines(result.Replay.Failed()), err)
		},
	}
}
