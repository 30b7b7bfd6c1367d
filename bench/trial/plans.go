package trial

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// experiment is a named one of experiments.json. They repeat experiments of the MegaPipe paper, and ask what else one wants to know before choosing
// an engine.
type experiment struct {
	Name, Heading, Question, Source string
	Plans                           []outline
}

// outline is a plan as experiments.json has it, in the form of docs/results.md. What it leaves out is the same in most plans, or depends on this
// host.
type outline struct {
	Plan
	Who     string          // method of planning that names the servers; empty: Servers
	Fill    string          // what completes the plan, see fill; empty: nothing
	Load    json.RawMessage `json:"load"` // what all loads have beside the defaults
	Servers []struct {
		Server
		Needs string // feature of the kernel
		Else  string // what is said where it lacks that
	} `json:"servers"`
	Points []struct {
		Point
		When    string          // "quick": only with --quick; "always": with it too; empty: only without
		Load    json.RawMessage `json:"load"` // beside the defaults and the plan's
		Needs   string          // feature of the kernel
		Without bool            // the server has to do without that feature
	} `json:"points"`
}

//go:embed experiments.json
var experimentsFile []byte

var experiments = parsed[*experiment](experimentsFile)

// parsed are the rows of a file that is part of this program.
func parsed[T any](file []byte) (rows []T) {
	load.Decode(file, &rows)
	return rows
}

// ExperimentsOptions say which experiments are made.
type ExperimentsOptions struct {
	Names []string // none: all
	Quick bool     // fewer points
	Peers []string // beside memcached: names or addresses of servers
	TLS   bool     // all servers speak TLS, but in plans that have both kinds
}

// Experiments are the names of the experiments and what each asks.
func Experiments() (names, questions []string) {
	for _, e := range experiments {
		names, questions = append(names, e.Name), append(questions, e.Question)
	}
	return names, questions
}

// Plans are those of the experiments, after one of the headroom of the load. They depend on this host, which is looked at; o are the run's options.
func (e *ExperimentsOptions) Plans(o *Options) (all []*Plan, err error) {
	known, _ := Experiments()
	for _, name := range e.Names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("experiment %q is not one of %s", name, strings.Join(known, ", "))
		}
	}
	p := &planning{e: e, o: o}
	if err := cmp.Or(twice("experiment", e.Names), p.inspectHost()); err != nil {
		return nil, err
	}
	all = append(all, p.headroom())
	for _, x := range experiments {
		if len(e.Names) == 0 || slices.Contains(e.Names, x.Name) {
			all = append(all, x.plans(p)...)
		}
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
	plain    map[string]string // why those do not speak TLS
	slabs    string            // why kernel memory is unknown; empty: it is not
	mostIdle int               // idle connections that this process can hold
	problems []string          // why there is less of the experiment under way than was asked for
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
	} else if err := p.o.Servers.CheckTLS(sut.Memcached); err != nil {
		p.plain = map[string]string{sut.Memcached: err.Error()}
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

// note keeps why there is less of the experiment than was asked for.
func (p *planning) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.problems, text) {
		p.problems = append(p.problems, text)
	}
}

// plans are those of an experiment. The first one has what is missing from it.
func (x *experiment) plans(p *planning) (all []*Plan) {
	p.problems = nil
	for i := range x.Plans {
		if plan := x.Plans[i].plan(p); len(plan.Points) > 0 {
			plan.Experiment, plan.Heading, plan.Question, plan.Source = x.Name, x.Heading, x.Question, x.Source
			all = append(all, plan)
		}
	}
	all[0].Problems = slices.Concat(all[0].Problems, p.problems)
	return all
}

// costs are the metrics of most plans.
var costs = []Metric{MetricCPU, MetricThroughput, MetricP99}

func (o *outline) plan(p *planning) *Plan {
	plan := o.Plan
	plan.Mode, plan.Reference, plan.Shows = cmp.Or(plan.Mode, SideBySide), cmp.Or(plan.Reference, sut.Epoll), slices.Clone(plan.Shows)
	if plan.Shows == nil {
		plan.Shows = costs
	}
	if p.e.Quick && plan.Mode == FreshProcesses {
		plan.MinTurns, plan.MaxTurns = min(plan.MinTurns, 1), min(plan.MaxTurns, 1)
	}
	plan.Servers = p.servers(o.Who)
	for _, s := range o.Servers {
		if p.has(s.Needs) {
			plan.Servers = append(plan.Servers, s.Server)
		} else {
			p.note("%s", s.Else)
		}
	}
	for _, in := range o.Points {
		if in.When != "always" && (in.When == "quick") != p.e.Quick {
			continue
		}
		if !p.has(in.Needs) {
			p.note("not %s: this kernel has no more than that", in.Label)
			continue
		}
		pt := in.Point
		pt.Load = p.load(o.Load, in.Load)
		if n, err := strconv.Atoi(pt.Label); err == nil {
			pt.X = float64(n)
		} else if plan.Axis.Scale == ScaleNames {
			pt.X = float64(len(plan.Points))
		}
		if in.Without {
			without, _ := ring.ParseFeatures(in.Needs) // as has did
			pt.Args = []string{"--ring-features", cmp.Or(p.features.Only(^without).String(), "none")}
		}
		plan.Points = append(plan.Points, pt)
	}
	p.fill(o.Fill, &plan)
	if p.e.TLS && !plan.encrypts() {
		p.encrypt(&plan)
	}
	return &plan
}

// encrypt has the servers of a plan speak TLS, as far as they do, and leaves out what is not for TCP.
func (p *planning) encrypt(plan *Plan) {
	plan.Servers = slices.DeleteFunc(plan.Servers, func(s Server) bool {
		why := p.plain[s.Start]
		if sut.PlainOnly(s.Start) {
			why = "it does not speak TLS"
		}
		if why != "" {
			p.note("without %s: %s", s.Name, why)
		}
		return why != ""
	})
	for i := range plan.Servers {
		plan.Servers[i].TLS = true
	}
	plan.Points = slices.DeleteFunc(plan.Points, func(pt Point) bool {
		other := pt.Load.TransportOrTCP() != load.TransportTCP
		if other {
			p.note("not %s: TLS is for TCP only", pt.Label)
		}
		return other
	})
}

// has reports that the kernel has a feature, by its name; empty: none is needed.
func (p *planning) has(needs string) bool {
	feature, err := ring.ParseFeatures(cmp.Or(needs, "none"))
	return err == nil && p.features.Has(feature)
}

// load is the workload that experiments change: gets of 64 B over 50 connections, with fewer keys for --quick, as each server has to store them.
func (p *planning) load(changes ...json.RawMessage) load.Workload {
	w := load.DefaultWorkload()
	if w.Keys = 50_000; p.e.Quick {
		w.Keys = 10_000
	}
	for _, change := range changes {
		if len(change) > 0 {
			load.Decode(change, &w)
		}
	}
	w.Connections = max(w.Connections, p.o.Threads)
	return w
}

// servers are a group of them by its name: "started" those that are started here, our engines and memcached as far as they are there; "real" all that
// store something, those too that the options name; "everybody" the null server too; "parking" those that idle connections are about; "tls" those that speak TLS and, to compare them with, the same
// without it; "tls, parking" those of both.
func (p *planning) servers(who string) (all []Server) {
	add := func(name string) { all = append(all, Server{Name: name, Start: name}) }
	switch who {
	case "":
		return nil
	case "tls", "tls, parking":
		return p.encryptedToo(who == "tls, parking")
	}
	for _, name := range []string{sut.Uring, sut.Epoll, sut.Net, sut.Memcached} {
		if why := p.absent[name]; why != "" {
			p.note("without %s: %s", name, why)
		} else {
			add(name)
		}
	}
	if who == "real" || who == "everybody" {
		for _, v := range p.o.Servers.Variants {
			add(v.Name)
		}
		for _, peer := range p.e.Peers {
			if peer != sut.Valkey {
				add(peer)
			}
		}
	}
	switch who {
	case "everybody":
		add(sut.Null)
	case "parking":
		// By default uring parks a connection after 30 s, so that is what one costs: the engine's plain name stands for it.
		all[0].Args, all[0].Parks = parkedArgs, true
		all = slices.Insert(all, 1, Server{Name: "uring, not parked", Start: sut.Uring, Args: []string{"--park-after", "0"}})
		if slices.Contains(p.e.Peers, sut.Valkey) {
			add(sut.Valkey)
		}
	}
	return all
}

// encryptedToo are our engines and memcached over TLS and, to compare them with, plain. parking says that idle connections are what it is about.
func (p *planning) encryptedToo(parking bool) (all []Server) {
	names := []string{sut.Uring, sut.Epoll, sut.Memcached}
	for _, secure := range []bool{true, false} {
		for _, name := range names {
			s := Server{Name: name, Start: name, TLS: secure}
			why := p.absent[name]
			if secure {
				s.Name, why = sut.TLSName(name), cmp.Or(why, p.plain[name])
			}
			if parking && name == sut.Uring {
				s.Args, s.Parks = parkedArgs, true
			}
			if why != "" {
				p.note("without %s: %s", name, why)
				continue
			}
			all = append(all, s)
		}
	}
	return all
}

// fill completes a plan with what depends on this host.
func (p *planning) fill(what string, plan *Plan) {
	switch what {
	case "storm": // two threads, as a server with one could not do a handshake beside anything else
		p.onOwnCores(plan)
		for i := range plan.Points {
			plan.Points[i].Threads, plan.Points[i].Storm = max(2, len(plan.Cores.Server)), plan.Points[i].X
		}
	case "steps": // threads on cores of their own, two at least: a single one has nobody to share a queue with
		p.onOwnCores(plan)
		for i := range plan.Points {
			plan.Points[i].Threads = max(2, len(plan.Cores.Server))
		}
		if len(plan.Cores.Server) == 1 {
			p.note("steps: the server's two threads have one core here. What a queue for each thread saves shows where each has its own")
		}
	case "cores":
		p.onMoreCores(plan)
	case "idle":
		p.besideIdle(plan)
	}
}

// onMoreCores gives servers more and more cores. The load keeps half of them, as it takes about as much for a request as the server does.
func (p *planning) onMoreCores(plan *Plan) {
	plan.Servers = slices.DeleteFunc(plan.Servers, func(s Server) bool { return s.running() })
	p.onOwnCores(plan)
	cores := len(plan.Cores.Server)
	if cores == 1 {
		p.note("this host has %s for servers and load: scaling needs at least four", tables.Plural(len(p.cores), "core"))
	}
	for n := 1; n <= cores; n++ {
		if !p.e.Quick || n&(n-1) == 0 || n == cores {
			w := p.load()
			w.Connections = max(50*n, plan.LoadThreads)
			plan.Points = append(plan.Points, Point{X: float64(n), Label: strconv.Itoa(n), Load: w, Threads: n})
		}
	}
}

// onOwnCores gives a plan all usable cores: those that the options name, otherwise half of them for the load.
func (p *planning) onOwnCores(plan *Plan) {
	server, load := divideCores(p.cores, &p.o.Cores)
	plan.Cores, plan.LoadThreads = &sut.Cores{Server: server, Load: load}, max(len(load), p.o.Threads)
}

func divideCores(usable []int, given *sut.Cores) (server, load []int) {
	server, load = given.Server, given.Load
	without := func(taken []int) []int {
		return slices.DeleteFunc(slices.Clone(usable), func(c int) bool { return slices.Contains(taken, c) })
	}
	if len(load) == 0 {
		if load = without(server); len(server) == 0 {
			load = load[:(len(load)+1)/2]
		}
	}
	if len(server) == 0 {
		server = without(load)
	}
	if len(server) == 0 { // a single core
		server = usable
	}
	if len(load) == 0 {
		load = usable
	}
	return server, load
}

// besideIdle bounds idle connections by what this process can hold, and says how their memory is measured.
func (p *planning) besideIdle(plan *Plan) {
	most := 0
	for i := range plan.Points {
		pt := &plan.Points[i]
		most = min(pt.Idle, p.mostIdle)
		pt.X, pt.Label, pt.Idle = float64(most), strconv.Itoa(most), most
	}
	plan.Points = slices.CompactFunc(plan.Points, func(a, b Point) bool { return a.Idle == b.Idle })
	if !p.e.Quick && most < mostIdle {
		p.note("no more than %d idle connections: this process may have no more files open (ulimit -n)", most)
	}
	if plan.settle = settleFully; p.e.Quick {
		plan.settle = settle{quiet: 300 * time.Millisecond, most: time.Second}
	}
	plan.clients = min(most, p.mostIdle/2) // this process has both ends of them
	if p.slabs != "" {
		plan.clients = 0
		p.note("kernel memory is unknown: %s", p.slabs)
		plan.Shows = slices.DeleteFunc(plan.Shows, func(m Metric) bool { return m == MetricKernelMemory })
	} else if most > mostParked {
		p.note("kernel memory of uring is unknown for more than %d connections: parking them takes too long", mostParked)
	}
}

// headroom is what the load gets out of a server that does nothing but answer: how much more than any other server gives it could show.
func (p *planning) headroom() *Plan {
	loads, _ := load.SelectWorkloads([]string{"get", "get-pipeline", "get-64k"}) // plain requests, many small ones, many bytes: they are there
	for i := range loads {
		loads[i].Connections = max(loads[i].Connections, p.o.Threads)
	}
	plan := WorkloadsPlan("headroom", []string{sut.Null}, loads)
	plan.Title, plan.Shows = "what the load gets out of the null server", []Metric{MetricThroughput}
	plan.NoAA, plan.Syscalls, plan.MinTurns, plan.MaxTurns = true, false, 0, minTurns
	return plan
}
