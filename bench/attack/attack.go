// Package attack puts loads of hostile clients to servers that are started here, beside a polite client that is measured: docs/attacks.md. [Cost]
// measures what small requests make a server do.
package attack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
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
		if o.Before != "" && (name == sut.Uring || name == sut.Epoll) {
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
	var known []string
	for _, l := range Loads() {
		known = append(known, l.Name)
	}
	for _, name := range o.Loads {
		if err := load.OneOf("load", name, known...); err != nil {
			return err
		}
	}
	for _, s := range o.Subjects {
		if s == sut.Null || load.IsAddress(s) {
			return fmt.Errorf("server %s: attacks are for servers of ringcached and memcached that are started here", s)
		}
	}
	if len(o.Subjects) == 0 {
		return errors.New("no server")
	}
	err := cmp.Or(
		load.InRange("duration", o.Duration, 50*time.Millisecond, 10*time.Minute),
		load.InRange("alone", o.Alone, time.Millisecond, time.Hour),
		load.InRange("settle", o.Settle, 0, time.Hour),
		load.InRange("rate", o.Rate, 10, 50_000),
		load.InRange("items", o.Items, 1, 100_000_000),
		load.AtLeast("most-connections", o.Most, 0),
		load.AtLeast("server-threads", o.Servers.Threads, 1),
	)
	if err != nil {
		return err
	}
	for _, l := range o.loads() {
		need, limit := o.atMost(l.Standing)+o.atMost(l.Swarm.Conns)+sut.OwnFiles, sut.ResourceLimit(syscall.RLIMIT_NOFILE)
		if limit >= 0 && limit < int64(need) {
			return fmt.Errorf("load %s needs a limit of %d open files, and it is %d (ulimit -n, or --most-connections)", l.Name, need, limit)
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
func (o *Options) loads() []Load {
	return slices.DeleteFunc(Loads(), func(l Load) bool { return len(o.Loads) > 0 && !slices.Contains(o.Loads, l.Name) })
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

// Run puts loads of hostile clients to servers that it starts, each beside a polite client, and prints what came of it; stage is told what begins,
// and "" before something is printed. The report holds what was measured also when the error is not nil.
func Run(ctx context.Context, o Options, stage func(what string), out io.Writer) (*Report, error) {
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
	report.printHeading(out, &o)
	for _, l := range o.loads() {
		row := &Row{Load: l.Name, Title: l.Title}
		report.Attacks = append(report.Attacks, row)
		for i := 0; i < len(subjects) && err == nil; i++ {
			stage(l.Name + ", " + subjects[i].Name)
			t := trial{Options: &o, load: &l}
			if err = t.run(ctx, subjects[i], report); err == nil {
				row.Results = append(row.Results, t.Result)
			} else if ctx.Err() == nil {
				err = fmt.Errorf("%s: %s: %w", l.Name, subjects[i].Name, err)
			}
		}
		stage("")
		if row.print(out); err != nil {
			return report, cmp.Or(ctx.Err(), err)
		}
	}
	return report, nil
}

// printHeading writes what the table of attacks begins with.
func (r *Report) printHeading(w io.Writer, o *Options) {
	fmt.Fprintf(w, "%s\nserver on core %s with %s, attackers and the polite client on core %s; attacks of %v\n", r.Environment.Machine(),
		tables.List(o.Cores.Server), tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load), o.Duration)
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core: latencies are disturbed.")
	}
	fmt.Fprintf(w, "polite client: %g requests/s over %d connections, one in %d a set; latency in ms since a request was due\n\n",
		o.Rate, politeConns, politeSets)
}

// print writes what a load did to the servers.
func (r *Row) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", r.Load, r.Title)
	rows := [][]string{{"", "without: p50", "p99", "max", "attacked: p50", "p99", "max", "failed sets", "other", "lost", "evicted",
		"MB before", "peak", "after", "requests", "KB", "closed", "CPU s", "ns/B", "us/request"}}
	ms := func(q *load.Quantiles) string { return fmt.Sprintf("%.2f %.2f %.1f", q.P50/1e3, q.P99/1e3, q.Max/1e3) }
	mb := func(bytes int64) string { return tables.OrDash(float64(bytes)/1e6, "%.0f") }
	notes := ""
	for i := range r.Results {
		one := &r.Results[i]
		p, a, evicted := &one.Polite, &one.Attack, fmt.Sprint(one.Evicted)
		if one.Evicted < 0 {
			evicted = "-"
		}
		rows = append(rows, strings.Fields(fmt.Sprintln(one.Server, ms(&one.Alone.Latency), ms(&p.Latency), p.FailedSets, p.FailedOther, p.Lost, evicted,
			mb(one.MemoryBefore), mb(one.MemoryPeak), mb(one.MemoryAfter), a.Requests, a.Bytes/1e3, a.Closed, fmt.Sprintf("%.2f", one.CPUSeconds),
			tables.OrDash(perUnit(1e9*one.CPUSeconds, a.Bytes), "%.1f"), tables.OrDash(perUnit(1e6*one.CPUSeconds, a.Requests), "%.2f"))))
		if text := one.notes(); text != "" {
			notes += fmt.Sprintf("  %s: %s\n", one.Server, text)
		}
	}
	tables.Print(w, "  ", 1, rows)
	fmt.Fprintln(w, notes)
}

// notes are what is in no column.
func (r *Result) notes() string {
	a, all := &r.Attack, ""
	if a.Datagrams > 0 {
		all += fmt.Sprintf("; %.2f replies per datagram, %.1f bytes per byte",
			perUnit(float64(a.Replies), a.Datagrams), perUnit(float64(a.ReplyBytes), a.Bytes))
	}
	if a.Answer != "" {
		all += fmt.Sprintf("; answer %.40q", a.Answer)
	}
	if r.Polite.Problem != "" {
		all += "; polite: " + r.Polite.Problem
	}
	if r.Died != "" {
		all += "; THE SERVER DIED: " + r.Died
	}
	return strings.TrimPrefix(all, "; ")
}

// perUnit is a cost, none below 0, divided by a number of units; 0: there are none.
func perUnit(cost float64, units int64) float64 {
	if units == 0 {
		return 0
	}
	return max(cost, 0) / float64(units)
}

const (
	attackTimes    = 2    // how many times memcached's the latency and the cost of ours may be
	attackFloor    = 1000 // p99 in microseconds below which nothing is said of it
	attackCPUFloor = 0.05 // CPU time in seconds, likewise
	attackLongest  = 1e6  // what p99 may be whatever memcached's is, in microseconds
)

// PrintSummary names what hostile clients can do to ringcached: failed requests of others, latencies and CPU time beyond memcached's.
func PrintSummary(w io.Writer, r *Report) {
	findings := ""
	for _, row := range r.Attacks {
		var other *Result
		if i := slices.IndexFunc(row.Results, func(r Result) bool { return r.Server == sut.Memcached }); i >= 0 {
			other = &row.Results[i]
		}
		for i := range row.Results {
			if one := &row.Results[i]; one != other && !strings.HasPrefix(one.Server, beforePrefix) {
				for _, what := range one.findings(other) {
					findings += fmt.Sprintf("  %s, %s: %s\n", row.Load, one.Server, what)
				}
			}
		}
	}
	fmt.Fprintf(w, "\nfailed requests of the polite client, p99 above %v or %d times memcached's (from %v on), CPU per byte above %d times memcached's"+
		" (from %g s on):\n%sversions: ",
		time.Duration(attackLongest)*time.Microsecond, attackTimes, attackFloor*time.Microsecond, attackTimes, attackCPUFloor, cmp.Or(findings, "  none\n"))
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		fmt.Fprintf(w, "%s %s, ", name, r.Servers[name].Version)
	}
	fmt.Fprintf(w, "took %.0f s\n", r.Seconds)
}

// findings is what an attack does to the server that it should not; other is memcached's result, nil if there is none.
func (r *Result) findings(other *Result) (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if r.Died != "" {
		say("it died")
	}
	if n := r.Polite.Failed(); n > 0 {
		say("%d requests failed", n)
	}
	p99, limit := r.Polite.Latency.P99, float64(attackLongest)
	if other != nil && other.Died == "" {
		limit = min(limit, max(attackFloor, attackTimes*other.Polite.Latency.P99))
	}
	if p99 > limit {
		say("p99 is %.1f ms, above %.1f", p99/1e3, limit/1e3)
	}
	if other == nil || r.CPUSeconds < attackCPUFloor {
		return all
	}
	mine, theirs := perUnit(1e9*r.CPUSeconds, r.Attack.Bytes), perUnit(1e9*max(other.CPUSeconds, attackCPUFloor), other.Attack.Bytes)
	if theirs > 0 && mine > attackTimes*theirs {
		say("CPU per byte is %.1f ns, memcached's %.1f", mine, perUnit(1e9*other.CPUSeconds, other.Attack.Bytes))
	}
	return all
}
