package trial

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// ExperimentsOptions say which experiments are made.
type ExperimentsOptions struct {
	Names []string // none: all
	Quick bool     // fewer points
	Peers []string // beside memcached: names or addresses of servers
}

// experiments are the named ones, in the order in which they are made. They repeat experiments of the MegaPipe paper, and ask what else one wants
// to know before choosing an engine.
var experiments = []struct {
	name, heading, question, source string
	plans                           func(*planning) []*Plan
}{
	{
		"batching", "Batching of submissions", "What does it save to gather operations before they are submitted, and how many should be gathered?",
		"MegaPipe (OSDI 2012): batching amortises the cost of system calls, most where messages are small", (*planning).batching,
	},
	{
		"message-size", "Message size", "What does a message cost, and from which size on do its bytes count?",
		"MegaPipe (OSDI 2012): the gain is in the cost per message, so it shrinks as messages grow", (*planning).messageSize,
	},
	{
		"connection-length", "Requests per connection", "What do short connections cost, and which part of the design makes them cheaper?",
		"MegaPipe (OSDI 2012), 64 B messages, 8 cores: +29 % throughput over baseline Linux for long connections, +582 % for short ones",
		(*planning).connectionLength,
	},
	{
		"cores", "Cores", "How does throughput grow with the cores of the server?",
		"MegaPipe (OSDI 2012): a channel and a listening socket per core leave nothing that cores share", (*planning).onCores,
	},
	{
		"memcached", "Real workloads", "What do mixes of commands cost, and what is latency at loads below saturation?",
		"MegaPipe (OSDI 2012): +15 to +320 % throughput for a modified memcached", (*planning).memcached,
	},
	{
		"idle", "Idle connections",
		"What does an idle connection cost in memory of the process and of the kernel, and do many slow down a few that are active?",
		"AIO versus network servers (2008): a read that is queued ahead of its data ties up a buffer", (*planning).idle,
	},
	{
		"pipeline", "Pipelining", "What is left of the difference when each client sends many requests at once?", "", (*planning).pipeline,
	},
	{
		"transport", "Transports", "What do TCP, unix sockets and UDP cost?",
		"memcached, CPU efficiency, UDP support (Facebook, 2006): UDP for many clients", (*planning).transport,
	},
	{
		"ablation", "Kernel features", "Which of the kernel's newer abilities does the advantage rest on?", "", (*planning).ablation,
	},
}

// ExperimentNames lists the experiments.
func ExperimentNames() (names []string) {
	for _, e := range experiments {
		names = append(names, e.name)
	}
	return names
}

// ExperimentQuestion is what an experiment asks.
func ExperimentQuestion(name string) string {
	for _, e := range experiments {
		if e.name == name {
			return e.question
		}
	}
	return ""
}

// Plans are those of the experiments, after one of the headroom of the load. They depend on this host, which is looked at; o are the run's options.
func (e *ExperimentsOptions) Plans(o *Options) (all []*Plan, err error) {
	for i, name := range e.Names {
		if !slices.Contains(ExperimentNames(), name) {
			return nil, fmt.Errorf("experiment %q is not one of %s", name, strings.Join(ExperimentNames(), ", "))
		}
		if slices.Contains(e.Names[:i], name) {
			return nil, fmt.Errorf("experiment %s is named twice", name)
		}
	}
	p := &planning{e: e, o: o}
	if err := p.inspectHost(); err != nil {
		return nil, err
	}
	all = append(all, p.headroom())
	for _, x := range experiments {
		if len(e.Names) > 0 && !slices.Contains(e.Names, x.name) {
			continue
		}
		p.problems, p.missed = nil, nil
		plans := x.plans(p)
		for _, name := range p.missed {
			p.problems = append(p.problems, "without "+name+": "+p.absent[name])
		}
		for i, plan := range plans {
			plan.Experiment, plan.Heading, plan.Question, plan.Source = x.name, x.heading, x.question, x.source
			if i == 0 {
				plan.Problems = append(plan.Problems, p.problems...)
			}
		}
		all = append(all, plans...)
	}
	return all, nil
}

// planning is what plans are made from.
type planning struct {
	e        *ExperimentsOptions
	o        *Options
	cores    []int // that this process may use
	features ring.Features
	absent   map[string]string // why servers that others can do without cannot take part
	slabs    string            // why kernel memory is unknown; empty: it is not
	mostIdle int               // idle connections that this process can hold
	missed   []string          // servers that the experiment under way would have, had they not been absent
	problems []string          // of the experiment under way
}

// mostIdle is how many idle connections there are at most: one client address has some 28 000 ports to connect from.
const mostIdle = 1 << 14

func (p *planning) inspectHost() (err error) {
	if p.cores, err = sut.UsableCores(); err != nil {
		return err
	}
	if p.features, err = ring.Probe(); err != nil {
		return fmt.Errorf("io_uring: %w", err)
	}
	if _, err := sut.ReadSlabs(); err != nil {
		p.slabs = err.Error()
	}
	if p.mostIdle, err = idleFor(sut.ResourceLimit(syscall.RLIMIT_NOFILE)); err != nil {
		return err
	}
	p.absent = make(map[string]string) // only memcached may be
	if _, err := p.o.Servers.Subjects([]string{sut.Memcached}); err != nil {
		if p.o.Servers.Memcached != "" { // it was asked for
			return err
		}
		p.absent[sut.Memcached] = err.Error()
	}
	return nil
}

// idleFor is how many idle connections fit into a limit of open files (-1: none): a power of two.
func idleFor(limit int64) (int, error) {
	room := mostIdle
	if limit >= 0 {
		room = int(min(limit, 1<<20)) - sut.OwnFiles
	}
	if room < 256 {
		return 0, errors.New("a limit of open files below 356 (ulimit -n) leaves no room for idle connections")
	}
	return min(1<<(bits.Len(uint(room))-1), mostIdle), nil
}

// pick returns the few values for --quick, or all of them.
func pick[T any](p *planning, few, all []T) []T {
	if p.e.Quick {
		return few
	}
	return all
}

// load is the workload that experiments change: gets of 64 B over 50 connections, with fewer keys for --quick, as each server has to store them.
func (p *planning) load(change func(*load.Workload)) load.Workload {
	w := load.DefaultWorkload()
	w.Keys = pick(p, []int{10_000}, []int{50_000})[0]
	change(&w)
	w.Connections = max(w.Connections, p.o.Threads)
	return w
}

// started are our engines, and memcached, as far as they are there.
func (p *planning) started() (all []Server) {
	for _, name := range []string{sut.Uring, sut.Epoll, sut.Net, sut.Memcached} {
		if p.absent[name] == "" {
			all = append(all, Server{Name: name, Start: name})
		} else if !slices.Contains(p.missed, name) {
			p.missed = append(p.missed, name)
		}
	}
	return all
}

// realServers are all that store something: our engines, memcached, and the others that the options name.
func (p *planning) realServers() []Server {
	all := p.started()
	for _, v := range p.o.Servers.Variants {
		all = append(all, Server{Name: v.Name, Start: v.Name})
	}
	for _, peer := range p.e.Peers {
		if peer != sut.Valkey {
			all = append(all, Server{Name: peer, Start: peer})
		}
	}
	return all
}

// everybody are the real servers, and the null server.
func (p *planning) everybody() []Server {
	return append(p.realServers(), Server{Name: sut.Null, Start: sut.Null})
}

// numbers makes a point of each number. Without label it is its own.
func (p *planning) numbers(values []int, label func(int) string, change func(w *load.Workload, n int)) (points []Point) {
	for _, n := range values {
		l := strconv.Itoa(n)
		if label != nil {
			l = label(n)
		}
		points = append(points, Point{X: float64(n), Label: l, Load: p.load(func(w *load.Workload) { change(w, n) })})
	}
	return points
}

// names makes a point of each name.
func (p *planning) names(names []string, change func(i int, w *load.Workload)) (points []Point) {
	for i, name := range names {
		points = append(points, Point{X: float64(i), Label: name, Load: p.load(func(w *load.Workload) { change(i, w) })})
	}
	return points
}

// headroom is what the load gets out of a server that does nothing but answer: how much more than any other server gives it could show.
func (p *planning) headroom() *Plan {
	plan := &Plan{
		Name: "headroom", Title: "what the load gets out of the null server", Mode: SideBySide, Axis: Axis{Label: "workload", Scale: ScaleNames},
		Servers: []Server{{Name: sut.Null, Start: sut.Null}}, Shows: []Metric{MetricThroughput}, NoAA: true, MaxTurns: minTurns,
	}
	for i, name := range []string{"get", "get-pipeline", "get-64k"} { // plain requests, many small ones, many bytes
		w, _ := load.SelectWorkloads([]string{name}) // they are there
		w[0].Connections = max(w[0].Connections, p.o.Threads)
		plan.Points = append(plan.Points, Point{X: float64(i), Label: name, Load: w[0]})
	}
	return plan
}
