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
		Description: "TRACE is a file in the format of Twitter's cache traces, which may be compressed with gzip or Zstandard, or - for the standard\n" +
			"input: lines of time in seconds, key, key size, value size, client, operation, time to live, with commas between them.",
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
	return []cli.Flag{
		&cli.StringFlag{Name: "addr", Usage: "`HOST:PORT` of the server, or unix:PATH", Value: "127.0.0.1:11211", Destination: &cmd.Addr},
		&cli.Float64Flag{
			Name: "speed", Category: categoryLoad, Usage: "`N` times as fast as recorded; 0: as fast as the server answers", Value: 1, Destination: &cmd.Speed,
		},
		&cli.IntFlag{
			Name: "connections", Category: categoryLoad, Usage: "spread the clients of the trace over `N` connections", Value: 50, Destination: &cmd.Connections,
		},
		&cli.IntFlag{
			Name: "pipeline", Category: categoryLoad, Usage: "send up to `N` requests that are due at once on a connection", Value: 1, Destination: &cmd.Pipeline,
		},
		&cli.BoolFlag{
			Name: "fill", Category: categoryLoad, Usage: "store what a get missed, as look-aside caches do", Destination: &cmd.Fill,
		},
		&cli.StringFlag{
			Name: "ttl", Category: categoryLoad, Usage: "times to live are `HOW`: recorded (passed on), scaled (by --speed) or ignored", Value: replay.TTLRecorded, Destination: &cmd.TTL,
		},
		&cli.BoolFlag{
			Name: "skip-bad", Category: categoryLoad, Usage: "count malformed lines instead of ending there", Destination: &cmd.SkipBad,
		},
		&cli.Int64Flag{Name: "limit", Category: categoryMeasure, Usage: "end after `N` requests; 0: no such end", Destination: &cmd.Limit},
		&cli.DurationFlag{
			Name: "duration", Category: categoryMeasure, Usage: "end after `TIME`; 0: no such end", Destination: &cmd.Duration,
		},
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
