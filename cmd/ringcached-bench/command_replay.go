package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	report "ringcached/bench/oldreport"
	"ringcached/bench/replay"
)

// replayCommand holds the options of `replay`.
type replayCommand struct {
	replay.Options
	json string
}

func newReplayCommand(stdout, stderr io.Writer) *cli.Command {
	cmd := &replayCommand{}
	return &cli.Command{
		Name:      "replay",
		Usage:     "replay a recorded trace against one server, in its own time or faster, and check every reply",
		ArgsUsage: "TRACE",
		Description: "TRACE is a file, or - for the standard input, in Twitter's format of lines of time,key,key size,value size,client,operation,TTL,\n" +
			"in Meta's of rows below a header, in libCacheSim's oracleGeneral, or of lines of time,key,size (docs/traces.md). It may be\n" +
			"compressed with gzip or Zstandard. The last two have nothing but gets: they need --fill.",
		Flags:        cmd.flags(),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fmt.Errorf("replay takes one trace, got %d (flags come before it)", c.NArg())
			}
			cmd.Trace = c.Args().First()
			return cmd.run(c, stdout, stderr)
		},
	}
}

func (cmd *replayCommand) flags() []cli.Flag {
	integer := func(name, usage string, value int, p *int) cli.Flag {
		return &cli.IntFlag{Name: name, Category: categoryLoad, Usage: usage, Value: value, Destination: p}
	}
	yes := func(name, usage string, p *bool) cli.Flag {
		return &cli.BoolFlag{Name: name, Category: categoryLoad, Usage: usage, Destination: p}
	}
	ttl := "times to live are `HOW`: recorded (passed on), scaled (by --speed) or ignored"
	speed := "`N` times as fast as recorded; 0: as fast as the server answers"
	return []cli.Flag{
		&cli.StringFlag{Name: "addr", Usage: "`HOST:PORT` of the server, or unix:PATH", Value: "127.0.0.1:11211", Destination: &cmd.Addr},
		&cli.Float64Flag{Name: "speed", Category: categoryLoad, Usage: speed, Value: 1, Destination: &cmd.Speed},
		integer("connections", "spread the clients of the trace over `N` connections", 50, &cmd.Connections),
		integer("pipeline", "send up to `N` requests that are due at once on a connection", 1, &cmd.Pipeline),
		yes("fill", "store what a get missed, as look-aside caches do", &cmd.Fill),
		&cli.StringFlag{Name: "ttl", Category: categoryLoad, Usage: ttl, Value: replay.TTLRecorded, Destination: &cmd.TTL},
		yes("skip-bad", "count what is no request in the trace instead of ending there", &cmd.SkipBad),
		&cli.Int64Flag{Name: "limit", Category: categoryMeasure, Usage: "end after `N` requests; 0: no such end", Destination: &cmd.Limit},
		&cli.DurationFlag{Name: "duration", Category: categoryMeasure, Usage: "end after `TIME`; 0: no such end", Destination: &cmd.Duration},
		&cli.StringFlag{Name: "json", Category: categoryMeasure, Usage: "write the result to `FILE` too", Destination: &cmd.json},
	}
}

func (cmd *replayCommand) run(c *cli.Context, stdout, stderr io.Writer) error {
	status := newStatus(stderr)
	cmd.Tick = func(p replay.Progress) {
		line := fmt.Sprintf("%v: %d requests", p.Elapsed.Round(time.Second), p.Requests)
		if !math.IsNaN(p.HitRatio) {
			line += fmt.Sprintf(", %.2f %% hits", 100*p.HitRatio)
		}
		if cmd.Speed > 0 {
			line += fmt.Sprintf(", %v late", p.Late.Round(10*time.Microsecond))
		}
		status.show(line)
	}
	result, err := replay.Run(c.Context, cmd.Options)
	status.clear()
	if result == nil {
		return err
	}
	replay.Print(stdout, result.Replay)
	if cmd.json != "" {
		err = errors.Join(err, report.WriteJSON(cmd.json, result))
	}
	if why := result.Replay.Failed(); why != "" {
		err = errors.Join(err, errors.New(why))
	}
	return err
}
