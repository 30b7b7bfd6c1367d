package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// option is a flag of a command. Its category and what it means are in help.txt.
type option struct {
	name string // may be followed by a comma and a short one
	to   any    // a pointer to where its value goes, and to its default; or a cli.Generic
}

// flag is the option as package cli wants it.
func (o *option) flag(category, usage string) cli.Flag {
	name, short, _ := strings.Cut(o.name, ",")
	switch to := o.to.(type) {
	case *bool:
		return &cli.BoolFlag{Name: o.name, Category: category, Usage: usage, Value: *to, Destination: to}
	case *int:
		return &cli.IntFlag{Name: o.name, Category: category, Usage: usage, Value: *to, Destination: to}
	case *int64:
		return &cli.Int64Flag{Name: o.name, Category: category, Usage: usage, Value: *to, Destination: to}
	case *uint64:
		return &cli.Uint64Flag{Name: o.name, Category: category, Usage: usage, Value: *to, Destination: to}
	case *float64:
		return &cli.Float64Flag{Name: o.name, Category: category, Usage: usage, Value: *to, Destination: to}
	case *time.Duration:
		return &cli.DurationFlag{Name: o.name, Category: category, Usage: usage, Value: *to, Destination: to}
	case *string:
		return &cli.StringFlag{
			Name: name, Aliases: strings.Fields(short), Category: category, Usage: usage, Value: *to, Destination: to,
		}
	}
	g := o.to.(cli.Generic)
	return &cli.GenericFlag{Name: o.name, Category: category, Usage: usage, Value: g, DefaultText: g.String()}
}

// list collects the values of a flag that may be repeated.
type list []string

func (l *list) Set(text string) error { *l = append(*l, text); return nil }
func (l *list) String() string        { return "" }

// percent is a part of 1.
type percent float64

func (p *percent) Set(text string) error {
	digits, found := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil {
		return fmt.Errorf("%q is no percentage such as 2%%", text)
	}
	if found {
		v /= 100
	}
	*p = percent(v)
	return nil
}

func (p *percent) String() string { return fmt.Sprintf("%.3g%%", 100*float64(*p)) }

// coreList is a list of cores such as 0,2-3.
type coreList []int

func (l *coreList) Set(text string) (err error) {
	*l, err = sut.ParseCores(text)
	return err
}
func (l *coreList) String() string { return "" }

// variants are ringcached with other flags.
type variants []sut.Variant

func (v *variants) Set(text string) error {
	one, err := sut.ParseVariant(text)
	*v = append(*v, one)
	return err
}
func (v *variants) String() string { return "" }

// mix is the parts of gets and sets.
type mix struct{ gets, sets *int }

func (m mix) Set(text string) error {
	g, s, ok := strings.Cut(text, ":")
	gets, gerr := strconv.Atoi(g)
	sets, serr := strconv.Atoi(s)
	if !ok || gerr != nil || serr != nil || gets < 0 || sets < 0 || gets+sets == 0 {
		return fmt.Errorf("%q is not two numbers such as 90:10", text)
	}
	*m.gets, *m.sets = gets, sets
	return nil
}

func (m mix) String() string {
	if m.gets == nil || *m.gets+*m.sets == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", *m.gets, *m.sets)
}

// encryption says how connections to a server that was not started here are encrypted.
type encryption struct {
	on  bool
	how load.TLS
}

func (e *encryption) options() []option {
	return []option{{"tls", &e.on}, {"tls-version", &e.how.Version}, {"tls-ca", &e.how.CA}, {"tls-insecure", &e.how.Insecure}}
}

// of makes it that of an endpoint.
func (e *encryption) of(at *load.Endpoint) error {
	if e.on {
		at.TLS = &e.how
	} else if e.how.Version != "" || e.how.CA != "" || e.how.Insecure {
		return errors.New("tls-version, tls-ca and tls-insecure need --tls")
	}
	return nil
}

// serverOptions say which servers a command starts, and on which cores.
func serverOptions(s *sut.ServerOptions, cores *sut.Cores, threads int) []option {
	s.Threads, s.User = threads, "nobody"
	return []option{
		{"server", &s.Path}, {"server-arg", (*list)(&s.Extra)}, {"memcached", &s.Memcached},
		{"server-threads", &s.Threads}, {"user", &s.User},
		{"server-core", (*coreList)(&cores.Server)}, {"load-cores", (*coreList)(&cores.Load)},
	}
}

// trialOptions say how plans are carried out. Their defaults are in o.
func trialOptions(o *trial.Options) []option {
	o.Servers.MemoryMB = 256
	return append([]option{
		{"time", &o.Time}, {"precision", (*percent)(&o.Precision)}, {"slice", &o.Slice}, {"duration", &o.Trial},
		{"warmup", &o.Warmup}, {"memory", &o.Servers.MemoryMB}, {"threads", &o.Threads}, {"driver", &o.Driver},
		{"seed", &o.Seed},
	}, serverOptions(&o.Servers, &o.Cores, 1)...)
}
