package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

const (
	categoryLoad    = "Load"
	categoryMeasure = "Measurement"
	categoryServers = "Servers"
)

// option is a flag of a command.
type option struct {
	category, name, usage string // a string's name may be followed by a comma and a short one
	to                    any    // a pointer to where its value goes, and to its default; or a cli.Generic
	quick                 any    // the default with --quick; nil: the same
}

// flag is the option as package cli wants it.
func (o *option) flag() cli.Flag {
	switch to := o.to.(type) {
	case *bool:
		return &cli.BoolFlag{Name: o.name, Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	case *int:
		return &cli.IntFlag{Name: o.name, Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	case *int64:
		return &cli.Int64Flag{Name: o.name, Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	case *uint64:
		return &cli.Uint64Flag{Name: o.name, Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	case *float64:
		return &cli.Float64Flag{Name: o.name, Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	case *time.Duration:
		return &cli.DurationFlag{Name: o.name, Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	case *string:
		name, short, _ := strings.Cut(o.name, ",")
		return &cli.StringFlag{Name: name, Aliases: strings.Fields(short), Category: o.category, Usage: o.usage, Value: *to, Destination: to}
	}
	g := o.to.(cli.Generic)
	return &cli.GenericFlag{Name: o.name, Category: o.category, Usage: o.usage, Value: g, DefaultText: g.String()}
}

// setQuick gives the option its value with --quick.
func (o *option) setQuick() {
	if to := reflect.ValueOf(o.to).Elem(); o.quick != nil {
		to.Set(reflect.ValueOf(o.quick).Convert(to.Type()))
	}
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

// serverOptions say which servers a command starts, and on which cores.
func serverOptions(s *sut.ServerOptions, cores *sut.Cores, threads int) []option {
	s.Threads, s.User = threads, "nobody"
	return []option{
		{categoryServers, "server", "`PATH` of ringcached (default: beside this program, or in PATH)", &s.Path, nil},
		{categoryServers, "server-arg", "one more `ARGUMENT` for ringcached, may be repeated", (*list)(&s.Extra), nil},
		{categoryServers, "memcached", "`PATH` of memcached (default: what scripts/install-peer memcached-1.6.45 unpacked)", &s.Memcached, nil},
		{categoryServers, "server-threads", "`N` threads for each server (-t)", &s.Threads, nil},
		{categoryServers, "user", "`NAME` that servers run as, when started by root", &s.User, nil},
		{categoryServers, "server-core", "`LIST` of cores for the servers (default: the last one)", (*coreList)(&cores.Server), nil},
		{categoryLoad, "load-cores", "`LIST` of cores for the load, such as 0,2-3 (default: chosen)", (*coreList)(&cores.Load), nil},
	}
}

// trialOptions say how plans are carried out. Their defaults are in o; quick are those with --quick.
func trialOptions(o, quick *trial.Options) []option {
	o.Servers.MemoryMB = 256
	return append([]option{
		{categoryMeasure, "time", "all takes `TIME`, longer only where points would have no intervals", &o.Time, quick.Time},
		{categoryMeasure, "precision", "measure until 95 % intervals of ratios reach no more than `PERCENT` to either side",
			(*percent)(&o.Precision), quick.Precision},
		{categoryMeasure, "slice", "the load moves on to the next server after `TIME`", &o.Slice, nil},
		{categoryMeasure, "duration", "measure each trial of a fresh process for `TIME`", &o.Trial, quick.Trial},
		{categoryMeasure, "warmup", "run for `TIME` before measuring", &o.Warmup, quick.Warmup},
		{categoryServers, "memory", "`MB` for items of each server (-m)", &o.Servers.MemoryMB, nil},
	}, append(driverOptions(&o.Threads, &o.Driver, &o.Seed), serverOptions(&o.Servers, &o.Cores, 1)...)...)
}

// driverOptions say what makes the load.
func driverOptions(threads *int, driver *string, seed *uint64) []option {
	return []option{
		{categoryLoad, "threads", "`N` threads make the load", threads, nil},
		{categoryLoad, "driver", "`NAME` of what moves the bytes: ring (io_uring), epoll or auto", driver, nil},
		{categoryLoad, "seed", "`N` from which keys are drawn", seed, nil},
	}
}

// workloadOptions describe a workload of the user's own. They write to w, which holds the defaults.
func workloadOptions(w *load.Workload) []option {
	return []option{
		{categoryLoad, "connections", "`N` connections, all threads together", &w.Connections, nil},
		{categoryLoad, "pipeline", "send `N` requests at once, and the next ones when all are answered", &w.Pipeline, nil},
		{categoryLoad, "value-size", "values of `N` bytes", &w.ValueSize, nil},
		{categoryLoad, "key-size", "keys of `N` bytes", &w.KeySize, nil},
		{categoryLoad, "keys", "`N` different keys", &w.Keys, nil},
		{categoryLoad, "key-dist", "how keys are drawn: uniform or zipf", &w.KeyDist, nil},
		{categoryLoad, "zipf-s", "exponent `S` of zipf", &w.ZipfS, nil},
		{categoryLoad, "ratio", "`GET:SET`, such as 90:10, 1:0 or 0:1", mix{&w.Gets, &w.Sets}, nil},
		{categoryLoad, "multiget", "`N` keys in each get", &w.Multiget, nil},
		{categoryLoad, "requests-per-connection", "close and reopen a connection after `N` requests; 0: never", &w.RequestsPerConnection, nil},
		{categoryLoad, "protocol", "`NAME` of what requests are written in: text, meta or binary, where a multiget is a run of GetKQ", &w.Protocol, nil},
		{categoryLoad, "rate", "`N` requests arrive in a second, at random times, whatever the server does; latency counts from then (0: connections " +
			"ask again when they are answered)", &w.Rate, nil},
		{categoryLoad, "transport", "`NAME` of what requests go over: tcp, unix or udp (keys are then stored over TCP, on the same port; default: unix for " +
			"an address unix:PATH, else tcp)", &w.Transport, nil},
	}
}
