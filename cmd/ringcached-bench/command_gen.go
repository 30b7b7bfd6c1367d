package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/trace"
)

// genCommand holds the options of `gen`.
type genCommand struct {
	trace.Options
	ratio  ratioFlag
	values string
	out    string
}

func newGenCommand(stderr io.Writer) *cli.Command {
	cmd := &genCommand{Options: trace.DefaultOptions("")}
	var kinds []string
	for _, k := range trace.Kinds() {
		kinds = append(kinds, fmt.Sprintf("  %-9s %s, get:set %d:%d", k.Name, k.Title, k.Gets, k.Sets))
	}
	return &cli.Command{
		Name:      "gen",
		Usage:     "generate a trace for replay, the same from the same seed",
		ArgsUsage: "KIND",
		Description: "KIND is one of\n\n" + strings.Join(kinds, "\n") + "\n\n" +
			"The sizes of etc follow Atikoglu et al., \"Workload analysis of a large-scale key-value store\", SIGMETRICS 2012.",
		Flags:        cmd.flags(),
		OnUsageError: usageError,
		Action: func(c *cli.Context) (err error) {
			if c.NArg() != 1 {
				return fmt.Errorf("gen takes one kind, got %d (flags come before it)", c.NArg())
			}
			cmd.Kind = c.Args().First()
			if cmd.Values, err = trace.ParseRange(cmd.values); err != nil {
				return fmt.Errorf("value-size: %w", err)
			}
			cmd.Gets, cmd.Sets = cmd.ratio.gets, cmd.ratio.sets
			return cmd.run(c, stderr)
		},
	}
}

func (cmd *genCommand) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "out", Aliases: []string{"o"}, Usage: "write to `FILE`, compressed if its name ends in .gz or .zst (default: the standard output)", Value: trace.Standard, Destination: &cmd.out, DefaultText: "-",
		},
		&cli.Int64Flag{Name: "requests", Usage: "`N` requests", Value: cmd.Requests, Destination: &cmd.Requests},
		&cli.IntFlag{Name: "keys", Usage: "`N` keys that are asked for again and again", Value: cmd.Keys, Destination: &cmd.Keys},
		&cli.IntFlag{Name: "rate", Usage: "`N` requests per second of the trace's time", Value: cmd.Rate, Destination: &cmd.Rate},
		&cli.IntFlag{Name: "clients", Usage: "`N` clients", Value: cmd.Clients, Destination: &cmd.Clients},
		&cli.IntFlag{Name: "key-size", Usage: "`BYTES` of a key; not with etc", Value: cmd.KeySize, Destination: &cmd.KeySize},
		&cli.StringFlag{
			Name: "value-size", Usage: "`BYTES` of a value, or LOW-HIGH; not with etc", Value: cmd.Values.String(), Destination: &cmd.values,
		},
		&cli.Int64Flag{Name: "ttl", Usage: "items live for `SECONDS`; 0: for ever", Destination: &cmd.TTL},
		&cli.GenericFlag{Name: "ratio", Usage: "`GET:SET`, such as 90:10 (default: the kind's)", Value: &cmd.ratio},
		&cli.Float64Flag{Name: "zipf-s", Usage: "exponent `S` of Zipf's law", Value: cmd.ZipfS, Destination: &cmd.ZipfS},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` from which everything is drawn", Value: cmd.Seed, Destination: &cmd.Seed},
	}
}

func (cmd *genCommand) run(c *cli.Context, stderr io.Writer) error {
	if err := cmd.Validate(); err != nil {
		return err // before a file is emptied
	}
	out, err := trace.Create(cmd.out)
	if err != nil {
		return err
	}
	status := newStatus(stderr)
	made := int64(0)
	const step = 5_000_000 // requests, some seconds
	err = cmd.Generate(c.Context, func(r *trace.Record) error {
		if made++; made%step == 0 {
			status.show(fmt.Sprintf("%d of %d requests", made, cmd.Requests))
		}
		return out.Write(r)
	})
	status.clear()
	if err = errors.Join(err, out.Close()); err != nil {
		if info, serr := os.Lstat(cmd.out); serr == nil && info.Mode().IsRegular() {
			_ = os.Remove(cmd.out) // a part of a trace looks like a whole one
		}
	}
	return err
}

// ratioFlag reads the parts of a mix. Both are 0 without the flag.
type ratioFlag struct{ gets, sets int }

func (r *ratioFlag) Set(text string) (err error) {
	r.gets, r.sets, err = parseRatio(text)
	return err
}

func (r *ratioFlag) String() string { return "" }
