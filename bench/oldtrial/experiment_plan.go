package oldtrial

import (
	"slices"
	"strconv"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// experimentPlan is an experiment before it is made.
type experimentPlan struct {
	name, title, question, source string
	parts                         []partPlan
	problems                      []string
}

// partPlan is a part before it is measured: its points, and the servers that have a trial at each of them.
type partPlan struct {
	name, title string
	axis        Axis
	baseline    string
	shows       []Metric
	points      []pointPlan
	series      []seriesPlan

	cores       *sut.Cores // nil: those of all
	loadThreads int        // 0: as many as elsewhere
	mostRounds  int        // 0: as many as elsewhere
	syscalls    bool       // count them too
	settle      settle     // set: connections that are idle are what is measured
	clients     int        // and how many there are in the trial that finds out what the load's ends of them cost
	// rateOf names an earlier part of the experiment, and a point of it: the least throughput there is what the points' shares are of.
	rateOf [2]string
}

// pointPlan is a place on a part's axis.
type pointPlan struct {
	x       float64
	label   string
	load    load.Workload
	args    []string // for the servers of series that the axis is about
	threads int      // of the server; 0: as many as elsewhere
	idle    int      // connections that are open beside the load's
	share   float64  // of the throughput that rateOf says; the load's rate follows from it
}

// seriesPlan is a server along the axis.
type seriesPlan struct {
	name   string
	server string // see ServerOptions
	args   []string
	// fixed: the axis is about flags of another server. One trial in a round stands for all points.
	fixed bool
	parks bool // the server parks idle connections, and is measured when it has
}

// serves says whether the server can answer the load, and could be started as the point wants it.
func (s *seriesPlan) serves(p *pointPlan) bool {
	w := &p.load
	switch {
	case s.server == sut.Null:
		return w.SuitsNull() && w.Rate == 0 && p.share == 0 && p.threads <= 1
	case s.server == sut.Net && w.TransportOrTCP() == load.TransportUDP:
		return false
	case s.running():
		return p.threads == 0 && (w.TransportOrTCP() == load.TransportUnix) == (load.TransportOf(s.server) == load.TransportUnix) && w.TransportOrTCP() != load.TransportUDP
	}
	return true
}

// running reports that the server is one that is not started here.
func (s *seriesPlan) running() bool {
	return load.IsAddress(s.server)
}

// cell is a point of a series: what has one trial in each round.
type cell struct{ point, series int }

// cells are the trials of a round. Servers stand next to each other at each point, so that what disturbs one disturbs those that it is
// compared with; with each round another point and another server is the first.
func (p *partPlan) cells(round int) (all []cell) {
	for i := range p.points {
		point := (round + i) % len(p.points)
		for j := range p.series {
			c := cell{point, (round + j) % len(p.series)}
			if s := &p.series[c.series]; s.serves(&p.points[c.point]) && (!s.fixed || c.point == 0) {
				all = append(all, c)
			}
		}
	}
	return all
}

// rounds is how many the part has.
func (p *partPlan) rounds(s shape) int {
	if p.mostRounds > 0 {
		return min(p.mostRounds, s.rounds)
	}
	return s.rounds
}

// Estimates of what a trial takes beside its timed part and warm-up: as trialTime, but with the keys of an experiment; and what each idle
// connection adds.
const (
	experimentTrialTime = 200 * time.Millisecond
	idleOpenTime        = 120 * time.Microsecond
)

// trialTime estimates how long a cell's trial takes.
func (p *partPlan) trialTime(c cell, s shape, first bool) time.Duration {
	sum := experimentTrialTime + s.duration + s.warmup
	if idle := p.points[c.point].idle; idle > 0 {
		s := p.settleFor(c)
		sum += 2*s.expected() + time.Duration(idle)*idleOpenTime
		if s.parked {
			sum += parkTime(idle)
		}
	}
	if p.counts(c, first) {
		sum += (&Options{Duration: s.duration}).countFor()
	}
	return sum
}

// counts says whether system calls are counted in a cell's trial: once, and only of servers that count them themselves, as strace would take
// too long.
func (p *partPlan) counts(c cell, first bool) bool {
	return p.syscalls && first && slices.Contains([]string{sut.Uring, sut.Epoll}, p.series[c.series].server)
}

// roundTime estimates how long a round takes.
func (p *partPlan) roundTime(s shape, first bool) (sum time.Duration) {
	for _, c := range p.cells(0) {
		sum += p.trialTime(c, s, first)
	}
	return sum
}

func (p *partPlan) expected(s shape) time.Duration {
	return p.roundTime(s, true) + time.Duration(p.rounds(s)-1)*p.roundTime(s, false)
}

func (e *experimentPlan) expected(s shape) (sum time.Duration) {
	for i := range e.parts {
		sum += e.parts[i].expected(s)
	}
	return sum
}

// planning is what plans are made from.
type planning struct {
	options *ExperimentsOptions
	host    *host
	missed  []string // servers that the plan under way would have, had they not been absent
}

// experiments are the named ones, in the order in which they are made.
var experiments = []struct {
	name, title, question, source string
	plan                          func(*planning) (parts []partPlan, problems []string)
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

// plans returns the plans of all experiments.
func (p *planning) plans() (all []*experimentPlan) {
	for _, e := range experiments {
		plan := &experimentPlan{name: e.name, title: e.title, question: e.question, source: e.source}
		p.missed = nil
		plan.parts, plan.problems = e.plan(p)
		for _, name := range p.missed {
			plan.problems = append(plan.problems, "without "+name+": "+p.host.absent[name])
		}
		all = append(all, plan)
	}
	return all
}

// selected returns the plans of those that are asked for.
func (o *ExperimentsOptions) selected(all []*experimentPlan) (some []*experimentPlan) {
	for _, e := range all {
		if len(o.Names) == 0 || slices.Contains(o.Names, e.name) {
			some = append(some, e)
		}
	}
	return some
}

// pick returns the few values for --quick, or all of them.
func pick[T any](p *planning, few, all []T) []T {
	if p.options.Quick {
		return few
	}
	return all
}

// load is the workload that experiments change: gets of 64 B over 50 connections, with fewer keys for --quick, as each trial has to store them.
func (p *planning) load(change func(*load.Workload)) load.Workload {
	w := load.DefaultWorkload()
	w.Keys = pick(p, []int{10_000}, []int{50_000})[0]
	change(&w)
	w.Connections = max(w.Connections, p.options.Threads)
	return w
}

// everybody are the series of all servers: our engines, memcached, the others that the options name, and canned replies.
func (p *planning) everybody() []seriesPlan {
	return append(p.realServers(), seriesPlan{name: sut.Null, server: sut.Null})
}

// realServers are those of everybody that store something.
func (p *planning) realServers() []seriesPlan {
	all := p.started()
	for _, v := range p.options.Servers.Variants {
		all = append(all, seriesPlan{name: v.Name, server: v.Name})
	}
	for _, peer := range p.options.Peers {
		all = append(all, seriesPlan{name: peer, server: peer})
	}
	return all
}

// started are our engines, and memcached, as far as they are there.
func (p *planning) started() (all []seriesPlan) {
	for _, name := range []string{sut.Uring, sut.Epoll, sut.Net, sut.Memcached} {
		if p.host.absent[name] == "" {
			all = append(all, seriesPlan{name: name, server: name})
		} else if !slices.Contains(p.missed, name) {
			p.missed = append(p.missed, name)
		}
	}
	return all
}

// numbers makes a point of each number. Without label it is its own.
func (p *planning) numbers(values []int, label func(int) string, change func(w *load.Workload, n int)) (points []pointPlan) {
	for _, n := range values {
		l := strconv.Itoa(n)
		if label != nil {
			l = label(n)
		}
		points = append(points, pointPlan{x: float64(n), label: l, load: p.load(func(w *load.Workload) { change(w, n) })})
	}
	return points
}

// names makes a point of each name.
func (p *planning) names(names []string, change func(i int, w *load.Workload)) (points []pointPlan) {
	for i, name := range names {
		points = append(points, pointPlan{x: float64(i), label: name, load: p.load(func(w *load.Workload) { change(i, w) })})
	}
	return points
}
