package main

import (
	"context"
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
	ratio                     ratioFlag
	values, out, from, format string
	skipBad                   bool
}

func newGenCommand(stderr io.Writer) *cli.Command {
	cmd := &genCommand{Options: trace.DefaultOptions("")}
	var kinds []string
	for _, k := range trace.Kinds() {
		kinds = append(kinds, fmt.Sprintf("  %-9s %s, get:set %d:%d", k.Name, k.Title, k.Gets, k.Sets))
	}
	return &cli.Command{
		Name:      "gen",
		Usage:     "generate a trace for replay, the same from the same seed, or convert one to another format",
		ArgsUsage: "KIND, or --from FILE",
		Description: "KIND is one of\n\n" + strings.Join(kinds, "\n") + "\n\n" +
			"The sizes of etc follow Atikoglu et al., \"Workload analysis of a large-scale key-value store\", SIGMETRICS 2012.\n\n" +
			"With --from only --out, --format, --requests, --rate and --skip-bad have a meaning.",
		Flags:        cmd.flags(),
		OnUsageError: usageError,
		Action: func(c *cli.Context) (err error) {
			if cmd.from != "" {
				if c.NArg() != 0 {
					return errors.New("gen takes a kind or --from, not both (flags come before the kind)")
				}
				return cmd.convert(c, stderr)
			}
			if c.NArg() != 1 {
				return fmt.Errorf("gen takes one kind, got %d (flags come before it)", c.NArg())
			}
			cmd.Kind = c.Args().First()
			if cmd.Values, err = trace.ParseRange(cmd.values); err != nil {
				return fmt.Errorf("value-size: %w", err)
			}
			cmd.Gets, cmd.Sets = cmd.ratio.gets, cmd.ratio.sets
			if err := cmd.Validate(); err != nil {
				return err // before a file is emptied
			}
			return cmd.write(c.Context, stderr, cmd.Generate)
		},
	}
}

func (cmd *genCommand) flags() []cli.Flag {
	integer := func(name, usage string, p *int) cli.Flag {
		return &cli.IntFlag{Name: name, Usage: usage, Value: *p, Destination: p}
	}
	text := func(name, usage, value string, p *string) *cli.StringFlag {
		return &cli.StringFlag{Name: name, Usage: usage, Value: value, Destination: p}
	}
	out := text("out", "write to `FILE`, compressed if its name ends in .gz or .zst (default: the standard output)", trace.Standard, &cmd.out)
	out.Aliases, out.DefaultText = []string{"o"}, trace.Standard
	format := text("format", "write it in the format `NAME`: twitter, meta, plain or oracleGeneral", "", &cmd.format)
	format.DefaultText = "oracleGeneral for a FILE that is named so or ends in .bin, else twitter"
	return []cli.Flag{
		out, format,
		text("from", "convert the trace `FILE`, in any of the formats, or - for the standard input", "", &cmd.from),
		&cli.BoolFlag{Name: "skip-bad", Usage: "leave out what is no request in it instead of ending there", Destination: &cmd.skipBad},
		&cli.Int64Flag{Name: "requests", Usage: "`N` requests; of a trace that is converted, no more", Value: cmd.Requests, Destination: &cmd.Requests},
		integer("keys", "`N` keys that are asked for again and again", &cmd.Keys),
		integer("rate", "`N` requests per second of the trace's time; of a trace that is converted, if it says no times", &cmd.Rate),
		integer("clients", "`N` clients", &cmd.Clients),
		integer("key-size", "`BYTES` of a key; not with etc", &cmd.KeySize),
		text("value-size", "`BYTES` of a value, or LOW-HIGH; not with etc", fmt.Sprintf("%d-%d", cmd.Values.Low, cmd.Values.High), &cmd.values),
		&cli.Int64Flag{Name: "ttl", Usage: "items live for `SECONDS`; 0: for ever", Destination: &cmd.TTL},
		&cli.GenericFlag{Name: "ratio", Usage: "`GET:SET`, such as 90:10 (default: the kind's)", Value: &cmd.ratio},
		&cli.Float64Flag{Name: "zipf-s", Usage: "exponent `S` of Zipf's law", Value: cmd.ZipfS, Destination: &cmd.ZipfS},
		&cli.Uint64Flag{Name: "seed", Usage: "`N` from which everything is drawn", Value: cmd.Seed, Destination: &cmd.Seed},
	}
}

// convert copies a trace.
func (cmd *genCommand) convert(c *cli.Context, stderr io.Writer) error {
	if cmd.Rate < 1 || cmd.Requests < 1 {
		return errors.New("requests and rate: there is one at least")
	}
	if from, err := os.Stat(cmd.from); err == nil {
		if to, err := os.Stat(cmd.out); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s cannot be converted into itself", cmd.from)
		}
	}
	in, err := trace.Open(cmd.from)
	if err != nil {
		return err
	}
	defer in.Close()
	in.SkipBad, in.Rate = cmd.skipBad, int64(cmd.Rate)
	most := int64(0)
	if c.IsSet("requests") {
		most = cmd.Requests
	}
	err = cmd.write(c.Context, stderr, func(ctx context.Context, write func(*trace.Record) error) error {
		if err := in.Each(ctx, most, write); err != nil {
			return fmt.Errorf("%s: %w", cmd.from, err)
		}
		return nil
	})
	if in.Bad > 0 {
		fmt.Fprintf(stderr, "skipped %d of what is no request, the first of which is %s\n", in.Bad, in.FirstBad)
	}
	return err
}

// write writes the trace that source hands out.
func (cmd *genCommand) write(ctx context.Context, stderr io.Writer, source func(context.Context, func(*trace.Record) error) error) error {
	format, err := trace.ParseFormat(cmd.format, cmd.out)
	if err != nil {
		return err
	}
	out, err := trace.Create(cmd.out, format)
	if err != nil {
		return err
	}
	status := newStatus(stderr)
	made := int64(0)
	const step = 5_000_000 // requests, some seconds
	err = source(ctx, func(r *trace.Record) error {
		if before := made; before/step != (before+r.Count)/step {
			status.show(fmt.Sprintf("%d requests", before+r.Count))
		}
		made += r.Count
		return out.Write(r)
	})
	status.clear()
	if err = errors.Join(err, out.Close()); err != nil {
		if info, serr := os.Lstat(cmd.out); serr == nil && info.Mode().IsRegular() {
			_ = os.Remove(cmd.out) // a part of a trace looks like a whole one
		}
	}
	if out.LeftOut > 0 {
		fmt.Fprintf(stderr, "left out %d requests of %d, for which the format %v has no form\n", out.LeftOut, made, format)
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
