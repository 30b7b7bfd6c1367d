package storetest

import (
	"context"
	"fmt"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// The items of pause and memory: the bytes of key and value, and what memory there is for each, which is more than any of the servers needs.
const manyKey, manyValue, manyRoom = 20, 32, 160

// manyMB is a memory limit at which n items fit into any of the servers.
func manyMB(n int) int { return n*manyRoom/pageSize + 16 }

func runMemory(ctx context.Context, s *session, r *Result) error {
	n := s.options.Scale.Items
	memoryMB := manyMB(n)
	r.note("%d items of %d+%d B, -m %d; key and value alone are %.0f MB", n, manyKey, manyValue, memoryMB, mega(int64(n)*(manyKey+manyValue)))
	t := r.table("server|%s", "RSS MB|%.0f", "empty|%.1f", "slabs|%.0f", "index|%.0f",
		"other|%.0f", "beside key+value, B/item|%.1f", "in slabs|%.1f", "stored/s|%.0f")
	return s.each(ctx, memoryMB, fmt.Sprintf("%d items", n), func(p *probe) { r.storeMany(p, t, n, memoryMB) })
}

func (r *Result) storeMany(p *probe, t *Table, n, memoryMB int) {
	empty := p.gauge()
	p.open(manyKey, manyValue)
	began := time.Now()
	p.store(0, n)
	seconds := time.Since(began).Seconds()
	p.awaitIndex()
	g, slabs := p.gauge(), p.number(p.stats("slabs"), "total_malloced")
	if g.items != int64(n) {
		p.fail("%d of %d items are there", g.items, n)
	}
	beside := func(bytes int64) float64 { return float64(bytes)/float64(n) - manyKey - manyValue }
	t.add(p.Name, mega(g.resident), mega(empty.resident), mega(slabs), mega(g.index), mega(g.resident-slabs-g.index), beside(g.resident), beside(slabs),
		float64(n)/seconds)
	limit := int64(memoryMB)<<20 + g.index
	r.verdict("%s: resident %.0f MB, -m and index %.0f MB: %s", p.Name, mega(g.resident), mega(limit), judgeMemory(g.resident, limit+empty.resident))
}

func judgeMemory(resident, most int64) string {
	if resident > most {
		return "ABOVE"
	}
	return "within"
}

// pauseTarget is how many times as long the slowest gets in a thousand may take while the index grows.
const pauseTarget = 2

func runPause(ctx context.Context, s *session, r *Result) error {
	z := &s.options.Scale
	r.note("one get at a time, while %d items of %d+%d B are stored at up to %d/s; -m %d", z.Items, manyKey, manyValue, z.PauseRate, manyMB(z.Items))
	t := r.table("server|%s", "index|%s", "p50 us|%.1f", "p99 us|%.1f", "p99.9 us|%.1f", "max us|%.0f", "gets|%d", "sets/s|%.0f")
	return s.each(ctx, manyMB(z.Items), fmt.Sprintf("%d items, and a third of them again", z.Items), func(p *probe) {
		r.measurePause(p, t, s.options.Seed, z.Items, z.PauseRate)
	})
}

// measurePause stores all items, and then a third of them again, while gets of a few others are measured.
func (r *Result) measurePause(p *probe, t *Table, seed uint64, items, rate int) {
	w := load.DefaultWorkload()
	w.Connections, w.Keys, w.ValueSize = 1, 1000, manyValue
	p.try(func() error { return load.Preload(p.ctx, p.Addr, &w) })
	p.open(manyKey, manyValue)
	p.try(func() error {
		l, err := load.Start(p.ctx, load.Options{Addr: p.Addr, Workload: w, Threads: 1, Seed: seed, Stall: load.FeedTimeout})
		if err != nil {
			return err
		}
		defer l.Stop()
		var worst []float64
		for i, n := range []int{items, items / 3} {
			w, err := whileStoring(p.ctx, l, p.feed, n, rate)
			if err != nil {
				return err
			}
			q := w.Quantiles()
			t.add(p.Name, [...]string{"grows", "stays"}[i], q.P50, q.P99, q.P999, q.Max, w.Operations, float64(n)/w.Elapsed.Seconds())
			if w.Operations > 0 {
				worst = append(worst, q.P999)
			}
			p.awaitIndex()
		}
		g := p.gauge()
		if g.evictions > 0 {
			p.fail("%d items were evicted: more memory is needed", g.evictions)
		}
		r.judgePause(p.Name, worst, g.index)
		return p.err
	})
}

// judgePause compares the slowest gets in a thousand while the index grew and while it stayed, which are in p999 if there were any.
func (r *Result) judgePause(server string, p999 []float64, index int64) {
	if len(p999) < 2 {
		r.verdict("%s: p99.9 while the index grows is unknown: no get was answered meanwhile, more items are needed", server)
		return
	}
	times, verdict := p999[0]/max(p999[1], 0.001), ""
	if server != sut.Memcached {
		verdict = fmt.Sprintf(", target %d: %s", pauseTarget, met(times <= pauseTarget))
	}
	r.verdict("%s: p99.9 while the index grows is %.2f times that while it stays (index of %.0f MB in the end)%s", server, times, mega(index), verdict)
}

// whileStoring measures the load while items are stored, rate of them in a second at most.
func whileStoring(ctx context.Context, l *load.Load, f *load.Feeder, items, rate int) (*load.Window, error) {
	fed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		fed <- f.Pace(0, items, rate)
		stop()
	}()
	w, err := l.Measure(ctx, time.Hour)
	if err == nil {
		err = <-fed
	}
	if err == nil && (w.Errors() > 0 || w.Misses > 0) {
		err = fmt.Errorf("gets went wrong: %d misses, %v", w.Misses, l.Problems())
	}
	return w, err
}
