package attack

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Options says which loads of hostile clients are put to which servers.
type Options struct {
	Loads    []string          `json:"loads"`            // by name; none: all
	Subjects []string          `json:"subjects"`         // servers by the names of ServerOptions; they are started here
	Before   string            `json:"before,omitempty"` // another build, whose engines are tried before ours
	Duration time.Duration     `json:"duration_ns"`      // of an attack
	Alone    time.Duration     `json:"alone_ns"`         // how long the polite client is looked at before it
	Settle   time.Duration     `json:"settle_ns"`        // when memory is looked at again after it
	Rate     float64           `json:"rate"`             // of the polite client's requests, per second
	Items    int               `json:"items"`            // in loads that need many
	Most     int               `json:"most_connections"` // attackers and idle ones, whatever the load says; 0: no limit
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
			return fmt.Errorf("load %s needs a limit of %d open files, and it is %d (ulimit -n, or --most-connections)",
				l.Name, need, limit)
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

// Run puts loads of hostile clients to servers that it starts, each beside a polite client, and prints what came of
// it; stage is told what begins, and "" before something is printed. The report holds what was measured also when the
// error is not nil.
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
	// No connection of the polite client waits for a processor of the runtime's.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(politeConns + 4))
	report := &Report{Header: sut.NewHeader("attack", &o)}
	defer report.Finish()
	attackParts.Show(out, "heading", report)
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

//go:embed attack.txt
var attackText string

var attackParts = tables.NewText(attackText, template.FuncMap{
	"polite":   func() map[string]int { return map[string]int{"conns": politeConns, "sets": politeSets} },
	"bounds":   func() any { return bounds },
	"notes":    (*Result).notes,
	"findings": (*Report).findings,
	"perUnit":  perUnit,
	"kilo":     func(bytes int64) int64 { return bytes / 1e3 },
	"times":    func(a, b float64) float64 { return a * b },
})

// print writes what a load did to the servers.
func (r *Row) print(w io.Writer) { attackParts.Show(w, "row", r) }

// PrintSummary names what hostile clients can do to ringcached: failed requests of others, latencies and CPU time
// beyond memcached's.
func PrintSummary(w io.Writer, r *Report) { attackParts.Show(w, "summary", r) }

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
		all += "; THE SERVER DIED: " + strings.ReplaceAll(r.Died, "\t", " ")
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

// bounds are what hostile clients may do to a server without being named in the summary.
var bounds = struct {
	Times   float64       // what memcached's latency, and its cost of a byte, may be multiplied by
	Floor   time.Duration // p99 below which nothing is said of it
	CPU     float64       // CPU time in seconds, likewise
	Longest time.Duration // what p99 may be whatever memcached's is
}{2, time.Millisecond, 0.05, time.Second}

// findings names the loads and servers with what is beyond the bounds.
func (r *Report) findings() (all []string) {
	for _, row := range r.Attacks {
		var other *Result
		if i := slices.IndexFunc(row.Results, func(r Result) bool { return r.Server == sut.Memcached }); i >= 0 {
			other = &row.Results[i]
		}
		for i := range row.Results {
			if one := &row.Results[i]; one != other && !strings.HasPrefix(one.Server, beforePrefix) {
				for _, what := range one.findings(other) {
					all = append(all, fmt.Sprintf("%s, %s: %s", row.Load, one.Server, what))
				}
			}
		}
	}
	return all
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
	p99, limit := r.Polite.Latency.P99, float64(bounds.Longest.Microseconds())
	if other != nil && other.Died == "" {
		limit = min(limit, max(float64(bounds.Floor.Microseconds()), bounds.Times*other.Polite.Latency.P99))
	}
	if p99 > limit {
		say("p99 is %.1f ms, above %.1f", p99/1e3, limit/1e3)
	}
	if other == nil || r.CPUSeconds < bounds.CPU {
		return all
	}
	perByte := func(cpu float64, r *Result) float64 { return perUnit(1e9*cpu, r.Attack.Bytes) }
	mine, theirs := perByte(r.CPUSeconds, r), perByte(max(other.CPUSeconds, bounds.CPU), other)
	if theirs > 0 && mine > bounds.Times*theirs {
		say("CPU per byte is %.1f ns, memcached's %.1f", mine, perByte(other.CPUSeconds, other))
	}
	return all
}
