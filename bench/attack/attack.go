package attack

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Options says which loads of hostile clients are put to which servers.
type Options struct {
	Loads    []string          `json:"loads"`            // by name; none: all
	Subjects []string          `json:"subjects"`         // servers by the names that ServerOptions knows; they are started here
	Before   string            `json:"before,omitempty"` // another build of ringcached, whose engines have their trials before ours
	Duration time.Duration     `json:"duration_ns"`      // of an attack
	Alone    time.Duration     `json:"alone_ns"`         // how long the polite client is looked at before it
	Settle   time.Duration     `json:"settle_ns"`        // when memory is looked at again after it
	Rate     float64           `json:"rate"`             // of the polite client's requests, per second
	Items    int               `json:"items"`            // in loads that need many
	Most     int               `json:"most_connections"` // attackers and idle connections, whatever the load says; 0: no limit
	Servers  sut.ServerOptions `json:"servers"`          // MemoryMB is not used: each load has its own
	Cores    sut.Cores         `json:"cores"`            // empty lists: chosen
}

// beforePrefix is what the names of another build's engines begin with.
const beforePrefix = "before-"

// withBefore adds an engine of the build at Before in front of each of ours.
func (o *Options) withBefore() {
	var all []string
	for _, name := range o.Subjects {
		if o.Before != "" && slices.Contains([]string{sut.Uring, sut.Epoll}, name) {
			v := sut.Variant{Name: beforePrefix + name, Args: []string{"--engine", name}, Path: o.Before}
			o.Servers.Variants = append(o.Servers.Variants, v)
			all = append(all, v.Name)
		}
		all = append(all, name)
	}
	o.Subjects = all
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	names, _ := Loads()
	for _, l := range o.Loads {
		if !slices.Contains(names, l) {
			return fmt.Errorf("load: %q is not one of %s", l, strings.Join(names, ", "))
		}
	}
	for _, s := range o.Subjects {
		if s == sut.Null || load.IsAddress(s) {
			return fmt.Errorf("server %s: attacks are for servers of ringcached and memcached that are started here", s)
		}
	}
	switch {
	case len(o.Subjects) == 0:
		return errors.New("no server")
	case o.Duration < 50*time.Millisecond || o.Duration > 10*time.Minute:
		return fmt.Errorf("duration: %v is not in 50ms..10m", o.Duration)
	case o.Alone <= 0 || o.Alone > time.Hour:
		return fmt.Errorf("alone: %v is not above 0 and up to 1h", o.Alone)
	case o.Settle < 0 || o.Settle > time.Hour:
		return fmt.Errorf("settle: %v is not in 0..1h", o.Settle)
	case !(o.Rate >= 10 && o.Rate <= 50_000):
		return fmt.Errorf("rate: %g is not in 10..50000", o.Rate)
	case o.Items < 1 || o.Items > 100_000_000:
		return fmt.Errorf("items: %d is not in 1..100000000", o.Items)
	case o.Most < 0:
		return fmt.Errorf("most-connections: %d is below 0", o.Most)
	case o.Servers.Threads < 1:
		return fmt.Errorf("server-threads: %d is below 1", o.Servers.Threads)
	}
	for _, l := range o.loads() {
		if need, limit := o.atMost(l.standing)+o.atMost(l.swarm.conns)+sut.OwnFiles, sut.ResourceLimit(syscall.RLIMIT_NOFILE); limit >= 0 && limit < int64(need) {
			return fmt.Errorf("load %s needs a limit of %d open files, and it is %d (ulimit -n, or --most-connections)", l.name, need, limit)
		}
	}
	return nil
}

func (o *Options) atMost(connections int) int {
	if o.Most > 0 {
		return min(connections, o.Most)
	}
	return connections
}

// loads are those to run.
func (o *Options) loads() (some []hostileLoad) {
	for _, l := range hostileLoads() {
		if len(o.Loads) == 0 || slices.Contains(o.Loads, l.name) {
			some = append(some, l)
		}
	}
	return some
}

// Report is the result of attacks.
type Report struct {
	sut.Header
	Attacks []*Row `json:"attacks,omitempty"`
}

// Row is what a load came to.
type Row struct {
	Load    string   `json:"load"`
	Title   string   `json:"title"`
	Results []Result `json:"results"` // one for each server
}

// Observer has the callbacks of Run, which calls them on its own goroutine while attacks run. None may be nil.
type Observer struct {
	Begin  func(*Report)     // the environment is known
	Load   func(*Row)        // a load begins: it has no results yet
	Stage  func(what string) // a server's trial begins
	Result func(*Result)     // and is over
}

// Run puts loads of hostile clients to servers that it starts, each beside a polite client. The report holds what was measured also when the error
// is not nil.
func Run(ctx context.Context, o Options, watch Observer) (*Report, error) {
	o.withBefore()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subjects, err := o.Servers.Subjects(o.Subjects)
	if err != nil {
		return nil, err
	}
	usable, err := o.Cores.Occupy(1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sut.PinProcess(usable) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(politeConns + 4)) // no connection of the polite client waits for a processor of the runtime's
	report := &Report{Header: sut.NewHeader("attack", &o)}
	defer report.Finish()
	watch.Begin(report)
	for _, l := range o.loads() {
		row := &Row{Load: l.name, Title: l.title}
		report.Attacks = append(report.Attacks, row)
		watch.Load(row)
		for i := range subjects {
			watch.Stage(l.name + ", " + subjects[i].Name)
			t := attackTrial{options: &o, load: &l, report: report}
			result, err := t.run(ctx, subjects[i])
			if ctx.Err() != nil {
				return report, ctx.Err()
			}
			if err != nil {
				return report, fmt.Errorf("%s: %s: %w", l.name, subjects[i].Name, err)
			}
			row.Results = append(row.Results, *result)
			watch.Result(result)
		}
	}
	return report, nil
}
