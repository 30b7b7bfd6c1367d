package load

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"ringcached/internal/fakeserver"
)

// eachDriver runs f with both drivers. A host without io_uring fails the first: the package promises it where the
// kernel has it.
func eachDriver(t *testing.T, f func(t *testing.T, driver string)) {
	for _, d := range []string{DriverRing, DriverEpoll} {
		t.Run(d, func(t *testing.T) { f(t, d) })
	}
}

func TestRightServer(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, c := range []struct {
			name     string
			change   func(*Workload)
			requests int64
			connects int64 // at least; -1: exactly one per connection
		}{
			{"gets", nil, 2000, -1},
			{"pipeline", func(w *Workload) { w.Pipeline = 16 }, 4000, -1},
			{"sets", func(w *Workload) { w.Gets, w.Sets = 0, 1 }, 1000, -1},
			{"mix and zipf", func(w *Workload) { w.Gets, w.Sets, w.KeyDist = 3, 1, Zipf }, 1000, -1},
			{"multiget", func(w *Workload) { w.Multiget = 50 }, 300, -1},
			{"one request per connection", func(w *Workload) { w.RequestsPerConnection = 1 }, 300, 300},
			{"seven requests per connection, pipeline 3", func(w *Workload) { w.RequestsPerConnection, w.Pipeline = 7, 3 }, 700, 100},
			{"large values", func(w *Workload) { w.ValueSize, w.Keys = 300_000, 3 }, 60, -1},
			{"large sets", func(w *Workload) { w.ValueSize, w.Keys, w.Gets, w.Sets = 3_000_000, 3, 0, 1 }, 20, -1},
			{"empty values", func(w *Workload) { w.ValueSize = 0 }, 300, -1},
		} {
			t.Run(c.name, func(t *testing.T) {
				w := SmallWorkload(c.change)
				r, err := testRun(t, fakeserver.Start(t, nil), driver, w, c.requests)
				if err != nil {
					t.Fatal(err)
				}
				if r.Failed() != "" || r.Misses != 0 || r.Operations != c.requests {
					t.Errorf("%+v: %s %q", r.Counts, r.Failed(), r.Problems)
				}
				if r.Hits != (r.Operations-r.Sets)*int64(w.Multiget) {
					t.Errorf("%d hits in %d gets of %d keys", r.Hits, r.Operations-r.Sets, w.Multiget)
				}
				if c.connects < 0 && r.Connects != int64(w.Connections) || r.Connects < c.connects {
					t.Errorf("%d connections were opened", r.Connects)
				}
				if r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P99 {
					t.Errorf("latencies %+v", r.Latency)
				}
			})
		}
	})
}

func TestMissesAreNotErrors(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		s := fakeserver.Start(t, nil)
		o := RunOptions{Duration: 30 * time.Second}
		o.Addr, o.Workload, o.Driver, o.Requests = s.Addr(), SmallWorkload(nil), driver, 100
		report, err := Run(t.Context(), o)
		if err != nil || report.Failed() != "" || report.Misses != 100 {
			t.Fatalf("%+v, %v", report, err)
		}
	})
}

func TestWrongServers(t *testing.T) {
	replace := func(from, to string) func([]byte) ([]byte, bool) {
		return func(r []byte) ([]byte, bool) { return bytes.Replace(r, []byte(from), []byte(to), 1), false }
	}
	for _, c := range []struct {
		name string
		flaw fakeserver.Flaw
		says string
		pick func(*RunResult) int64
	}{
		{"wrong value", fakeserver.Nth(50, func(r []byte) ([]byte, bool) {
			r = bytes.Clone(r)
			r[len(r)-10] ^= 1
			return r, false
		}), "differs", func(r *RunResult) int64 { return r.Wrong }},
		{"wrong key", fakeserver.Nth(50, replace("VALUE k", "VALUE x")), "where", func(r *RunResult) int64 { return r.Wrong }},
		{"one value too much", fakeserver.Nth(50, func(r []byte) ([]byte, bool) {
			r = bytes.TrimSuffix(r, []byte("END\r\n"))
			return append(append(bytes.Clone(r), r...), "END\r\n"...), false
		}), "where", func(r *RunResult) int64 { return r.Wrong }},
		{"reply twice", fakeserver.Nth(50, func(r []byte) ([]byte, bool) { return append(bytes.Clone(r), r...), false }), "",
			func(r *RunResult) int64 { return r.Wrong }},
		{"error reply", fakeserver.Nth(50, func([]byte) ([]byte, bool) { return []byte("SERVER_ERROR busy\r\n"), false }), "SERVER_ERROR busy",
			func(r *RunResult) int64 { return r.Refused }},
		{"hangs up", fakeserver.Nth(50, func(r []byte) ([]byte, bool) { return r[:len(r)/2], true }), "closed the connection",
			func(r *RunResult) int64 { return r.Broken }},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				r, err := testRun(t, fakeserver.Start(t, c.flaw), driver, SmallWorkload(nil), 400)
				if r == nil {
					t.Fatal(err)
				}
				if r.Failed() == "" || c.pick(r) == 0 {
					t.Errorf("not failed: %+v %v", r.Counts, err)
				}
				if all := strings.Join(r.Problems, "\n"); !strings.Contains(all, c.says) {
					t.Errorf("problems are %q, want %q in them", all, c.says)
				}
			})
		})
	}
}

func TestSilentServerIsFoundOut(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		silent := fakeserver.Nth(50, func([]byte) ([]byte, bool) { return nil, false })
		start := time.Now()
		r, err := testRun(t, fakeserver.Start(t, silent), driver, SmallWorkload(nil), 100_000)
		if !errors.Is(err, ErrStalled) {
			t.Errorf("%v, want %v", err, ErrStalled)
		}
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("it took %v", d)
		}
		if r == nil || r.Operations < 40 {
			t.Errorf("what came before the silence is not reported: %+v", r)
		}
	})
}

func TestDyingServer(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		s := fakeserver.Start(t, nil)
		time.AfterFunc(200*time.Millisecond, s.Close)
		r, err := testRun(t, s, driver, SmallWorkload(nil), 1<<40)
		if err == nil || !strings.Contains(err.Error(), "connecting") {
			t.Errorf("%v, want a failure to connect", err)
		}
		if r == nil || r.Broken == 0 {
			t.Errorf("no broken connections counted: %+v", r)
		}
	})
}

func TestNoServer(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		s := fakeserver.Start(t, nil)
		s.Close()
		_, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: s.Addr()}, Workload: SmallWorkload(nil), Driver: driver})
		if err == nil || !strings.Contains(err.Error(), "connecting") {
			t.Errorf("%v, want a failure to connect", err)
		}
	})
}

func TestInterruptKeepsTheResults(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := SmallWorkload(nil)
		s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
			if n == w.Keys+500 { // the first are of preload
				cancel()
			}
			return reply, false
		})
		o := RunOptions{Duration: time.Minute, Preload: true}
		o.Addr, o.Workload, o.Driver, o.Threads = s.Addr(), w, driver, 2
		report, err := Run(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		if r := report; !r.Interrupted || r.Operations == 0 || r.Failed() != "" || r.Seconds > 20 {
			t.Errorf("%+v", r)
		}
	})
}

func TestWindowsFollowEachOther(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		s := fakeserver.Start(t, nil)
		l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: s.Addr()}, Workload: SmallWorkload(nil), Driver: driver})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		for range 3 {
			w, err := l.Measure(t.Context(), 200*time.Millisecond)
			if err != nil || w.Operations == 0 || w.Operations != w.Latency.TotalCount() {
				t.Fatalf("%d operations, %d latencies, %v", w.Operations, w.Latency.TotalCount(), err)
			}
		}
	})
}

// TestLoadsLeaveNothingBehind counts descriptors over many loads, of which each ends in another way.
func TestLoadsLeaveNothingBehind(t *testing.T) {
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	eachDriver(t, func(t *testing.T, driver string) {
		s := startFakeDatagrams(t, 30, nil)
		wrong := fakeserver.Start(t, fakeserver.Nth(1, func(r []byte) ([]byte, bool) { return bytes.ToLower(r), false }))
		short := SmallWorkload(func(w *Workload) { w.RequestsPerConnection = 2 })
		before := 0
		for i := range 10 {
			_, _ = testRun(t, s, driver, SmallWorkload(nil), 50)
			_, _ = testRun(t, s, driver, short, 50)
			_, _ = testRun(t, s, driver, udpWorkload(nil), 50)
			_, _ = testRun(t, s, driver, SmallWorkload(func(w *Workload) { w.Rate = 5000 }), 50)
			_, _ = testRun(t, wrong, driver, SmallWorkload(nil), 50)
			for wait := 0; count("/proc/self/fd") > before && wait < 100; wait++ {
				time.Sleep(10 * time.Millisecond) // the other ends are closed by the server's goroutines
			}
			if i == 0 {
				before = count("/proc/self/fd")
			}
		}
		if after := count("/proc/self/fd"); after > before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
	})
}

func TestSessionDoesNotAllocate(t *testing.T) {
	w := SmallWorkload(func(w *Workload) { w.Pipeline, w.Multiget, w.Gets, w.Sets = 4, 3, 9, 1 })
	k := NewKeySpace(w.Keys, w.KeySize, w.ValueSize)
	g := newGenerator(&w, k, 1, 0)
	s, r := newSession(g, 0), newRecorder(false)
	var group, reply []byte
	round := func() {
		group = s.fill(group[:0], 100, 0)
		reply = reply[:0]
		for i := range s.asked {
			p := &s.group[i]
			if p.set {
				reply = append(reply, "STORED\r\n"...)
				continue
			}
			for _, key := range p.keys {
				reply = append(reply, "VALUE "...)
				reply = append(reply, k.key(key)...)
				reply = append(reply, s.check.d.hit.after...)
				reply = append(k.AppendValue(reply, key), "\r\n"...)
			}
			reply = append(reply, "END\r\n"...)
		}
		if err := s.receive(reply, 1000, r); err != nil {
			t.Fatal(err)
		}
	}
	round()
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations per group of requests, want 0", n)
	}
}

// BenchmarkSession is what the load itself costs per request, without the kernel.
func BenchmarkSession(b *testing.B) {
	w := DefaultWorkload()
	k := NewKeySpace(w.Keys, w.KeySize, w.ValueSize)
	g := newGenerator(&w, k, 1, 0)
	s, r := newSession(g, 0), newRecorder(false)
	var group, reply []byte
	b.ReportAllocs()
	for b.Loop() {
		group = s.fill(group[:0], 1, 0)
		key := s.group[0].keys[0]
		reply = append(append(append(reply[:0], "VALUE "...), k.key(key)...), s.check.d.hit.after...)
		reply = append(k.AppendValue(reply, key), "\r\nEND\r\n"...)
		if err := s.receive(reply, 1000, r); err != nil {
			b.Fatal(err)
		}
	}
}

// SmallWorkload is one that a Server is done with quickly.
func SmallWorkload(change func(*Workload)) Workload {
	w := DefaultWorkload()
	w.Connections, w.Keys, w.ValueSize = 4, 100, 40
	if change != nil {
		change(&w)
	}
	return w
}

// testRun runs a short load on the fake server with keys stored.
func testRun(t *testing.T, s *fakeserver.Server, driver string, w Workload, requests int64) (*RunResult, error) {
	t.Helper()
	o := RunOptions{Duration: 30 * time.Second, Preload: true}
	o.Addr, o.Workload, o.Driver, o.Requests, o.Stall = s.Addr(), w, driver, requests, 2*time.Second
	report, err := Run(t.Context(), o)
	return report, err
}
