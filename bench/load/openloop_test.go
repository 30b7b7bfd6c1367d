package load

import (
	"bytes"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/fakeserver"
)

// TestArrivalsArePoisson looks at what a queue with a fixed time of service makes of the arrivals: an M/D/1 queue,
// whose mean time of waiting is known (Pollaczek and Khinchine).
func TestArrivalsArePoisson(t *testing.T) {
	const service = 1e6
	for _, load := range []float64{0.3, 0.5, 0.8} {
		p := newPoisson(load*1e9/service, 7, arrivalStream)
		p.begin(0)
		const n = 2_000_000
		var free, waited, last, gaps, squares float64
		for range n {
			gap := p.at - last
			gaps, squares, last = gaps+gap, squares+gap*gap, p.at
			free = max(free, p.at)
			waited += free - p.at
			free += service
			p.next()
		}
		mean := gaps / n
		if want := service / load; math.Abs(mean/want-1) > 0.01 {
			t.Errorf("load %g: a gap is %g ns on average, want %g", load, mean, want)
		}
		if deviation := math.Sqrt(squares/n - mean*mean); math.Abs(deviation/mean-1) > 0.01 {
			t.Errorf("load %g: gaps deviate by %g ns from %g: exponential ones deviate by as much", load, deviation, mean)
		}
		if want := load * service / (2 * (1 - load)); math.Abs(waited/n/want-1) > 0.03 {
			t.Errorf("load %g: requests wait for %g ns on average, want %g", load, waited/n, want)
		}
	}
}

func TestThreadsHaveArrivalsOfTheirOwn(t *testing.T) {
	first := func(seed, thread uint64) int64 {
		o := newOpenLoop(1000, seed, thread)
		o.begin(0, 1<<62)
		return o.take()
	}
	one, again := first(1, 0), first(1, 0)
	if one != again || one == first(1, 1) || one == first(2, 0) {
		t.Error("seed and thread decide when requests arrive")
	}
}

// TestQueueIsWhatArrivedAndWasNotTaken follows the books of an open loop through two windows.
func TestQueueIsWhatArrivedAndWasNotTaken(t *testing.T) {
	o := newOpenLoop(1e9, 1, 0) // one arrives in a nanosecond, on average
	if o.look(Now()) != 0 || o.due(Now()) {
		t.Error("something arrived before the beginning")
	}
	o.begin(0, 1<<62)
	queue := o.look(10_000)
	if queue < 9_000 || queue > 11_000 {
		t.Fatalf("%d requests in 10 us", queue)
	}
	var last int64
	for range 100 {
		at := o.take()
		if at < last || at > 10_000 {
			t.Fatalf("a request that arrived at %d was taken after one of %d", at, last)
		}
		last = at
	}
	o.wait(10_000)
	o.end(10_000, 40)
	var w OpenLoop
	o.cut(&w, 7)
	if w.Arrived != queue || w.Queued != queue-100 || w.LongestQueue != queue-100 || w.Unanswered != 40 {
		t.Errorf("%+v of %d", w, queue)
	}
	o.begin(20_000, 5)
	if at := o.take(); at < 20_000 || at > 21_000 || o.look(30_000) != 4 {
		t.Errorf("in the next slice the first request arrived at %d, and %d wait", at, o.look(30_000))
	}
	for range 4 {
		o.take()
	}
	if o.counted.at != o.sent.at {
		t.Errorf("the next arrival is drawn as %g and as %g", o.counted.at, o.sent.at)
	}
}

// TestVerdictsOnARate are about windows that are made up.
func TestVerdictsOnARate(t *testing.T) {
	for _, c := range []struct {
		name           string
		latency, late  int64 // ns
		answered, lost int64
		queued         int64
		want           OpenLoop
	}{
		{"all is well", 100_000, 20_000, 1000, 0, 0, OpenLoop{}},
		{"late", 100_000, 30_000, 1000, 0, 0, OpenLoop{Late: true}},
		{"some under way", 100_000, 20_000, 970, 0, 0, OpenLoop{}},
		{"short", 100_000, 20_000, 970, 0, 5, OpenLoop{Short: true}},
		{"a queue, but not short", 100_000, 20_000, 985, 0, 15, OpenLoop{}},
		{"some lost", 100_000, 20_000, 900, 90, 5, OpenLoop{}},
	} {
		w := &Window{times: newTimes(true), Open: &OpenLoop{Arrived: 1000, Queued: c.queued}}
		Record(w.Latency, c.latency)
		Record(w.lateness, c.late)
		w.Operations, w.Lost = c.answered, c.lost
		w.Open.judge(w)
		if w.Open.Late != c.want.Late || w.Open.Short != c.want.Short {
			t.Errorf("%s: %+v", c.name, w.Open)
		}
		r := RunResult{Counts: w.Counts, Latency: w.Quantiles(), Open: w.Open}
		if got := r.Failed() != ""; got != (c.want.Late || c.want.Short) {
			t.Errorf("%s: the run fails with %q", c.name, r.Failed())
		}
	}
}

// openRun is testRun with the load's options.
func openRun(t *testing.T, s *fakeserver.Server, driver string, w Workload, duration time.Duration, requests int64) *RunResult {
	t.Helper()
	o := RunOptions{Duration: duration, Preload: true}
	o.Addr, o.Workload, o.Driver, o.Requests, o.Threads = s.Addr(), w, driver, requests, min(2, w.Connections)
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestOpenLoopAnswersEverything(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, connections := range []int{1, 7} {
			w := SmallWorkload(func(w *Workload) { w.Gets, w.Sets, w.Rate, w.Connections = 3, 1, 5000, connections })
			r := openRun(t, fakeserver.Start(t, nil), driver, w, time.Minute, 1000)
			if r.Errors() != 0 || r.Operations != 1000 || r.Misses != 0 || r.Connects != int64(connections) {
				t.Errorf("%d connections: %+v %q", connections, r.Counts, r.Problems)
			}
			if r.Open == nil || r.Open.Arrived != 1000 || r.Open.Queued != 0 || r.Open.Unanswered != 0 || r.Open.Lateness.Max <= 0 {
				t.Errorf("%d connections: %+v", connections, r.Open)
			}
		}
	})
}

// TestConnectionsTakeTurns: each connection is used, though one could do all.
func TestConnectionsTakeTurns(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		s := fakeserver.Start(t, nil)
		w := SmallWorkload(func(w *Workload) { w.Rate, w.Connections = 1000, 10 })
		o := Options{Endpoint: Endpoint{Addr: s.Addr()}, Workload: w, Driver: driver, Requests: 200}
		l, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		if _, err := l.Measure(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Mu.Lock()
		defer s.Mu.Unlock()
		if len(s.Used) != 10 {
			t.Errorf("%d of 10 connections were used", len(s.Used))
		}
		for c, n := range s.Used {
			if n < 5 {
				t.Errorf("connection %d had %d requests of 200", c, n)
			}
		}
	})
}

// TestRateThatTheServerCannotTake is found out, whatever the machine does.
func TestRateThatTheServerCannotTake(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		w := SmallWorkload(func(w *Workload) { w.Rate = 20_000 })
		r := openRun(t, fakeserver.Start(t, slowly(time.Millisecond)), driver, w, 500*time.Millisecond, 0)
		if r.Open == nil || !r.Open.Short || r.Open.Queued == 0 || r.Open.LongestQueue < r.Open.Queued/2 { // of two threads
			t.Fatalf("%+v", r.Open)
		}
		if !strings.Contains(r.Failed(), "too slow for the rate") {
			t.Errorf("the run fails with %q", r.Failed())
		}
		var out bytes.Buffer
		PrintRun(&out, r)
		for _, want := range []string{"latency ", "from when requests arrived", "lateness ", "waited for a connection at most", "20000/s arrive"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, &out)
			}
		}
	})
}

// slowly makes a Server handle one request after the other, each for the given time at least.
func slowly(service time.Duration) fakeserver.Flaw {
	var one sync.Mutex
	return func(n int, reply []byte) ([]byte, bool) {
		if n > 100 { // which preload
			one.Lock()
			defer one.Unlock()
			time.Sleep(service)
		}
		return reply, false
	}
}

// TestQueueingCountsAsLatency has a server with a fixed time of service, which a busy machine can only make longer:
// latencies are at least those of such a queue with the same arrivals, wherever the requests wait: for one
// connection, or at the server.
func TestQueueingCountsAsLatency(t *testing.T) {
	const service, rate, requests, seed = 2 * time.Millisecond, 350, 300, 5
	p := newPoisson(rate, seed, arrivalStream)
	p.begin(0)
	var free, sum float64
	for range requests {
		free = max(free, p.at) + float64(service)
		sum += free - p.at
		p.next()
	}
	least := sum / requests
	if least < 1.5*float64(service) {
		t.Fatalf("%g ns are no queue", least)
	}
	eachDriver(t, func(t *testing.T, driver string) {
		for _, connections := range []int{1, 50} {
			w := SmallWorkload(func(w *Workload) { w.Rate, w.Connections = rate, connections })
			s := fakeserver.Start(t, slowly(service))
			if err := (Endpoint{Addr: s.Addr()}).Preload(t.Context(), &w); err != nil {
				t.Fatal(err)
			}
			l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: s.Addr()}, Workload: w, Driver: driver, Seed: seed, Requests: requests})
			if err != nil {
				t.Fatal(err)
			}
			window, err := l.Measure(t.Context(), time.Minute)
			l.Stop()
			if err != nil || window.Operations != requests {
				t.Fatalf("%+v, %v", window, err)
			}
			if mean := window.Latency.Mean(); mean < 0.99*least {
				t.Errorf("%d connections: %.0f us on average, and a queue makes it %.0f us at least", connections, mean/1e3, least/1e3)
			}
		}
	})
}

// TestStallShowsInWhatArrivedMeanwhile: the server does nothing for 200 ms. A closed loop would notice it once for
// each connection.
func TestStallShowsInWhatArrivedMeanwhile(t *testing.T) {
	const stall, rate = 200 * time.Millisecond, 2000
	eachDriver(t, func(t *testing.T, driver string) {
		var one sync.Mutex
		s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
			one.Lock()
			defer one.Unlock()
			if n == 100+300 {
				time.Sleep(stall)
			}
			return reply, false
		})
		w := SmallWorkload(func(w *Workload) { w.Rate = rate })
		if err := (Endpoint{Addr: s.Addr()}).Preload(t.Context(), &w); err != nil {
			t.Fatal(err)
		}
		l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: s.Addr()}, Workload: w, Driver: driver, Requests: 1500})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		window, err := l.Measure(t.Context(), time.Minute)
		if err != nil || window.Operations != 1500 {
			t.Fatalf("%+v, %v", window, err)
		}
		slow := int64(0)
		for _, bar := range window.Latency.Distribution() {
			if bar.From >= int64(stall/2) {
				slow += bar.Count
			}
		}
		// Some 200 requests arrive within the first half of the stall.
		if slow < 120 || window.Open.LongestQueue < 240 {
			t.Errorf("%d requests waited for %v, the queue was up to %d long", slow, stall/2, window.Open.LongestQueue)
		}
	})
}

// TestIdleServerIsNotDead: nothing arrives for longer than a server may be silent.
func TestIdleServerIsNotDead(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		w := SmallWorkload(func(w *Workload) { w.Rate = 0.001 })
		l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: fakeserver.Start(t, nil).Addr()}, Workload: w, Driver: driver, Stall: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		if window, err := l.Measure(t.Context(), 500*time.Millisecond); err != nil || window.Open.Queued != 0 {
			t.Errorf("%+v, %v", window.Open, err)
		}
	})
}

// TestOpenLoopOverBrokenConnections: they are replaced, and those that break while they are idle too.
func TestOpenLoopOverBrokenConnections(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		hangsUp := func(n int, reply []byte) ([]byte, bool) { return reply, n > 100 && n%20 == 0 }
		w := SmallWorkload(func(w *Workload) { w.Rate = 3000 })
		r := openRun(t, fakeserver.Start(t, hangsUp), driver, w, time.Minute, 600)
		if r.Broken == 0 || r.Wrong != 0 || r.Operations < 560 || r.Open.Unanswered != 0 {
			t.Errorf("%+v %+v", r.Counts, r.Open)
		}
	})
}

func TestOpenLoopDoesNotAllocate(t *testing.T) {
	o, r := newOpenLoop(1e6, 1, 0), newRecorder(true)
	o.begin(0, 1<<62)
	line := line{conns: make([]*conn, 0, 6)}
	conns := make([]conn, 3)
	for i := range conns {
		line.add(&conns[i])
	}
	at := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		at += 1000
		c := line.take()
		for o.due(at) {
			Record(r.lateness, at-o.take())
		}
		o.wait(at)
		line.add(c)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestLine(t *testing.T) {
	conns := make([]conn, 3)
	line := line{conns: make([]*conn, 0, 6)}
	for i := range conns {
		conns[i].index = i
		line.add(&conns[i])
	}
	line.remove(&conns[0]) // it broke
	line.remove(&conns[0])
	var order []int
	for range 20 {
		c := line.take()
		order = append(order, c.index)
		line.add(c)
	}
	for i, got := range order {
		if want := 1 + i%2; got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
	line.take()
	line.take()
	if !line.empty() || cap(line.conns) != 6 {
		t.Errorf("left: %+v", line)
	}
}

// TestCutsLoseNothing: what is recorded between two cuts is in one window.
func TestCutsLoseNothing(t *testing.T) {
	r := newRecorder(true)
	r.open = newOpenLoop(1, 1, 0)
	for i := range 5 {
		for range i {
			r.complete(&pending{}, outcome{}, 1000)
			Record(r.lateness, 500)
		}
		w := &Window{times: newTimes(true), Open: &OpenLoop{}}
		r.cut(w)
		if n := int64(i); w.Operations != n || w.Latency.TotalCount() != n || w.lateness.TotalCount() != n {
			t.Errorf("window %d: %d operations, %d latencies, %d latenesses", i, w.Operations, w.Latency.TotalCount(), w.lateness.TotalCount())
		}
	}
}
