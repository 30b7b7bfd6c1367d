package oldtrial

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"syscall"
	"time"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// What all experiments together may take, with --quick and without, as far as it can be known before.
const (
	QuickBudget = 2 * time.Minute
	FullBudget  = 30 * time.Minute
)

// ExperimentsOptions says which experiments are made, and how exactly.
type ExperimentsOptions struct {
	Names []string `json:"experiments"` // none: all
	Quick bool     `json:"quick"`       // fewer points, shorter trials
	// Rounds, Duration and Warmup are chosen where they are 0, so that all experiments fit into QuickBudget or FullBudget. An experiment's
	// do not depend on which others are asked for.
	Rounds int      `json:"rounds"`
	Peers  []string `json:"peers,omitempty"` // running servers, HOST:PORT
	Options
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *ExperimentsOptions) Validate() error {
	for i, name := range o.Names {
		if !slices.Contains(ExperimentNames(), name) {
			return fmt.Errorf("experiment %q is not one of %s", name, strings.Join(ExperimentNames(), ", "))
		}
		if slices.Contains(o.Names[:i], name) {
			return fmt.Errorf("experiment %s is named twice", name)
		}
	}
	for _, p := range o.Peers {
		if !load.IsAddress(p) {
			return fmt.Errorf("peer: %q is neither HOST:PORT nor unix:PATH; memcached and the null server take part anyway", p)
		}
	}
	// What is chosen is right.
	given, rounds := o.Options, o.Rounds
	if rounds == 0 {
		rounds = 1
	}
	if given.Duration == 0 {
		given.Duration = time.Second
	}
	return given.validate(rounds, []load.Workload{load.DefaultWorkload()})
}

// shape is how often and how long a server has its trial.
type shape struct {
	rounds           int
	duration, warmup time.Duration
}

// The shapes from which one is chosen that fits. More rounds narrow the intervals more than longer trials do.
var (
	quickShapes = shapeRange{
		budget: QuickBudget, warmup: 30 * time.Millisecond, shortest: 100 * time.Millisecond, longest: 150 * time.Millisecond, rounds: []int{3, 2, 1},
	}
	fullShapes = shapeRange{
		budget: FullBudget, warmup: 150 * time.Millisecond, shortest: 400 * time.Millisecond, longest: time.Second, rounds: []int{7, 6, 5, 4, 3},
	}
)

type shapeRange struct {
	budget, warmup, shortest, longest time.Duration
	rounds                            []int // best first
}

// share of the budget that is planned for: trials may take longer than they should.
const planned = 0.85

func (o *ExperimentsOptions) shapes() *shapeRange {
	if o.Quick {
		return &quickShapes
	}
	return &fullShapes
}

// chooseShape fills in what the options leave open: the most rounds for which trials of the shortest duration fit, and then the longest duration.
func (o *ExperimentsOptions) chooseShape(all []*experimentPlan) shape {
	from := o.shapes()
	s := shape{o.Rounds, o.Duration, o.Warmup}
	if s.warmup == 0 {
		s.warmup = from.warmup
	}
	longest := from.shortest
	if s.duration > 0 {
		longest = s.duration
	}
	fits := func(rounds int, duration time.Duration) bool {
		var sum time.Duration
		for _, e := range all {
			sum += e.expected(shape{rounds, duration, s.warmup})
		}
		return float64(sum) <= planned*float64(from.budget)
	}
	if s.rounds == 0 {
		s.rounds = from.rounds[len(from.rounds)-1]
		for _, n := range from.rounds {
			if fits(n, longest) {
				s.rounds = n
				break
			}
		}
	}
	if s.duration == 0 {
		s.duration = from.shortest
		for d := from.longest; d > from.shortest; d -= 10 * time.Millisecond {
			if fits(s.rounds, d) {
				s.duration = d
				break
			}
		}
	}
	return s
}

// host is what plans depend on beside the options.
type host struct {
	cores    []int // that this process may use
	features ring.Features
	absent   map[string]string // why servers that others can do without cannot take part
	slabs    string            // why kernel memory is unknown; empty: it is not
	idle     int               // idle connections that this process can hold
}

// mostIdle is how many idle connections there are at most: one client address has some 28 000 ports to connect from.
const mostIdle = 1 << 14

func (o *ExperimentsOptions) inspectHost(ctx context.Context) (h host, err error) {
	if h.cores, err = sut.UsableCores(); err != nil {
		return h, err
	}
	if h.features, err = ring.Probe(); err != nil {
		return h, fmt.Errorf("io_uring: %w", err)
	}
	if _, err := sut.ReadSlabs(); err != nil {
		h.slabs = err.Error()
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return h, err
	}
	if h.idle, err = idleFor(limit.Cur); err != nil {
		return h, err
	}
	h.absent, err = o.tryServers(ctx, h.cores)
	return h, err
}

// tryServers starts each server once, so that what is missing is known before anything is measured. Only memcached and net may be: absent says why.
func (o *ExperimentsOptions) tryServers(ctx context.Context, cores []int) (absent map[string]string, err error) {
	names := []string{sut.Uring, sut.Epoll, sut.Net, sut.Memcached, sut.Null}
	for _, v := range o.Servers.Variants {
		names = append(names, v.Name)
	}
	absent = make(map[string]string)
	w := load.DefaultWorkload()
	for _, name := range append(names, o.Peers...) {
		var in *sut.Instance
		subjects, err := o.Servers.Subjects([]string{name})
		if err == nil {
			in, err = subjects[0].Start(ctx, &o.Servers, cores, &w)
		}
		switch {
		case err == nil:
			in.Stop()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case name == sut.Memcached:
			absent[name] = err.Error()
		case name == sut.Net:
			absent[name] = err.Error()
		default:
			return nil, err
		}
	}
	return absent, nil
}

// idleFor is how many idle connections fit into a limit of open files: a power of two.
func idleFor(limit uint64) (int, error) {
	room := int(min(limit, 1<<20)) - sut.OwnFiles
	if room < 256 {
		return 0, errors.New("a limit of open files below 356 (ulimit -n) leaves no room for idle connections")
	}
	return min(1<<(bits.Len(uint(room))-1), mostIdle), nil
}
