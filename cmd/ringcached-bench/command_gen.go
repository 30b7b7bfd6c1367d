package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"ringcached/bench/trace"
)

// generating holds the options of `gen`.
type generating struct {
	trace.Options
	values, out, from, format string
	skipBad                   bool
}

func (p *program) genCommand() command {
	g := &generating{Options: trace.DefaultOptions(""), out: trace.Standard}
	g.values = fmt.Sprintf("%d-%d", g.Values.Low, g.Values.High)
	return command{
		name: "gen", args: "KIND, or --from FILE", most: 1,
		facts: []string{"{kinds}", listing(trace.Kinds(), 9, func(k trace.Kind) (string, string) {
			return k.Name, fmt.Sprintf("%s, get:set %d:%d", k.Title, k.Gets, k.Sets)
		})},
		options: []option{
			{"out,o", &g.out}, {"format", &g.format}, {"from", &g.from}, {"skip-bad", &g.skipBad}, {"requests", &g.Requests},
			{"keys", &g.Keys}, {"rate", &g.Rate}, {"clients", &g.Clients}, {"key-size", &g.KeySize}, {"value-size", &g.values},
			{"ttl", &g.TTL}, {"ratio", mix{&g.Gets, &g.Sets}}, {"zipf-s", &g.ZipfS}, {"seed", &g.Seed},
		},
		run: func(c *cli.Context) (err error) {
			if (c.NArg() == 1) == (g.from != "") {
				return errors.New("gen takes a kind or --from, and not both")
			}
			if g.from != "" {
				return p.convert(c, g)
			}
			g.Kind = c.Args().First()
			if g.Values, err = trace.ParseRange(g.values); err != nil {
				return fmt.Errorf("value-size: %w", err)
			}
			if err := g.Validate(); err != nil {
				return err // before a file is emptied
			}
			return p.writeTrace(c.Context, g, g.Generate)
		},
	}
}

// convert copies a trace.
func (p *program) convert(c *cli.Context, g *generating) error {
	if g.Rate < 1 || g.Requests < 1 {
		return errors.New("requests and rate: there is one at least")
	}
	if from, err := os.Stat(g.from); err == nil {
		if to, err := os.Stat(g.out); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s cannot be converted into itself", g.from)
		}
	}
	in, err := trace.Open(g.from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	in.SkipBad, in.Rate = g.skipBad, int64(g.Rate)
	most := int64(0)
	if c.IsSet("requests") {
		most = g.Requests
	}
	err = p.writeTrace(c.Context, g, func(ctx context.Context, write func(*trace.Record) error) error {
		if err := in.Each(ctx, most, write); err != nil {
			return fmt.Errorf("%s: %w", g.from, err)
		}
		return nil
	})
	if in.Bad > 0 {
		fmt.Fprintf(p.stderr, "skipped %d of what is no request, the first of which is %s\n", in.Bad, in.FirstBad)
	}
	return err
}

// source hands out a trace, record by record.
type source func(ctx context.Context, write func(*trace.Record) error) error

// writeTrace writes a trace.
func (p *program) writeTrace(ctx context.Context, g *generating, from source) error {
	format, err := trace.ParseFormat(g.format, g.out)
	if err != nil {
		return err
	}
	out, err := trace.Create(g.out, format)
	if err != nil {
		return err
	}
	status := p.status()
	made := int64(0)
	const step = 5_000_000 // requests, some seconds
	err = from(ctx, func(r *trace.Record) error {
		if before := made; before/step != (before+r.Count)/step {
			status.show(fmt.Sprintf("%d requests", before+r.Count))
		}
		made += r.Count
		return out.Write(r)
	})
	status.show("")
	if cerr := out.Close(); err == nil {
		err = cerr // which else is the same once more, or what comes of it
	}
	if err != nil {
		if info, serr := os.Lstat(g.out); serr == nil && info.Mode().IsRegular() {
			_ = os.Remove(g.out) // a part of a trace looks like a whole one
		}
	}
	if out.LeftOut > 0 {
		fmt.Fprintf(p.stderr, "left out %d requests of %d, for which the format %v has no form\n", out.LeftOut, made, format)
	}
	return err
}
