package storetest

import (
	"context"
	"fmt"
	"io"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Pause is what the experiment of that name found.
type Pause struct {
	Count    int        `json:"items"`
	Rate     int        `json:"sets_per_second"`
	MemoryMB int        `json:"memory_mb"`
	Rows     []PauseRow `json:"rows"`
}

// PauseRow is one server: latencies of gets in microseconds while items are stored.
type PauseRow struct {
	Server string    `json:"server"`
	Growth PausePart `json:"growth"` // new items: the index grows from nothing
	Steady PausePart `json:"steady"` // some of these items again
	Index  int64     `json:"index"`  // bytes, at the end
}

// PausePart is what one connection with one get at a time saw.
type PausePart struct {
	Latency load.Quantiles `json:"latency_us"`
	Gets    int64          `json:"gets"`
	Rate    float64        `json:"sets_per_second"` // as the server took them
}

// pauseTarget is how many times as long the slowest gets in a thousand may take while the index grows.
const pauseTarget = 2

func runPause(ctx context.Context, s *storing) (Result, error) {
	z := &s.options.Scale
	p := &Pause{Count: z.Items, Rate: z.PauseRate, MemoryMB: manyMB(z.Items)}
	for i := range s.subjects {
		sub := &s.subjects[i]
		row := PauseRow{Server: sub.Name}
		if err := s.with(ctx, sub, p.MemoryMB, func(in *sut.Instance) error { return row.measure(ctx, s, in, p) }); err != nil {
			return p, err
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

// measure stores all items, and then a third of them again, while gets of a few others are measured.
func (r *PauseRow) measure(ctx context.Context, s *storing, in *sut.Instance, p *Pause) error {
	w := load.DefaultWorkload()
	w.Connections, w.Keys, w.ValueSize = 1, 1000, manyValue
	if err := load.Preload(ctx, in.Addr, &w); err != nil {
		return err
	}
	l, err := load.Start(ctx, load.Options{Addr: in.Addr, Workload: w, Threads: 1, Seed: s.options.Seed, Stall: load.FeedTimeout})
	if err != nil {
		return err
	}
	defer l.Stop()
	f, err := load.OpenFeed(ctx, in.Addr, manyKey, manyValue)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, part := range []struct {
		what  string
		items int
		to    *PausePart
	}{{"new ones", p.Count, &r.Growth}, {"the first of them again", p.Count / 3, &r.Steady}} {
		s.stage("pause: %s, %d items, %s", r.Server, part.items, part.what)
		if err := part.to.measure(ctx, l, f, part.items, p.Rate); err != nil {
			return err
		}
		if err := awaitIndex(ctx, in); err != nil {
			return err
		}
	}
	g, err := sut.ReadGauge(ctx, in)
	if err != nil {
		return err
	}
	r.Index = g.Index
	if g.Evictions > 0 {
		return fmt.Errorf("%d items were evicted: more memory is needed", g.Evictions)
	}
	return nil
}

// measure measures the load while items are stored, rate of them in a second at most.
func (p *PausePart) measure(ctx context.Context, l *load.Load, f *load.Feeder, items, rate int) error {
	fed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		fed <- f.Pace(0, items, rate)
		stop()
	}()
	w, err := l.Measure(ctx, time.Hour)
	if err != nil {
		return err
	}
	if err := <-fed; err != nil {
		return err
	}
	if w.Errors() > 0 || w.Misses > 0 {
		return fmt.Errorf("gets went wrong: %d misses, %v", w.Misses, l.Problems())
	}
	p.Latency, p.Gets, p.Rate = w.Quantiles(), w.Operations, float64(items)/w.Elapsed.Seconds()
	return nil
}

// Times is how many times as long the slowest gets in a thousand took while the index grew.
func (r *PauseRow) Times() float64 { return r.Growth.Latency.P999 / max(r.Steady.Latency.P999, 0.001) }

// Print is Result's.
func (p *Pause) Print(w io.Writer) {
	fmt.Fprintf(w, "  one get at a time, while %d items of %d+%d B are stored at up to %d/s; -m %d\n", p.Count, manyKey, manyValue, p.Rate, p.MemoryMB)
	fmt.Fprintf(w, "  %-11s %-14s %9s %9s %9s %9s %9s %9s\n", "server", "index", "p50 us", "p99 us", "p99.9 us", "max us", "gets", "sets/s")
	for _, r := range p.Rows {
		for _, part := range []struct {
			what string
			p    *PausePart
		}{{"grows", &r.Growth}, {"stays", &r.Steady}} {
			q := &part.p.Latency
			fmt.Fprintf(w, "  %-11s %-14s %9s %9s %9s %9s %9d %9.0f\n", r.Server, part.what, tables.Micro(q.P50), tables.Micro(q.P99), tables.Micro(q.P999), tables.Micro(q.Max), part.p.Gets, part.p.Rate)
		}
	}
	for i := range p.Rows {
		fmt.Fprintf(w, "  %s: p99.9 while the index grows %s\n", p.Rows[i].Server, p.Rows[i].verdict())
	}
}

func (r *PauseRow) verdict() string {
	if r.Growth.Gets == 0 || r.Steady.Gets == 0 {
		return "is unknown: no get was answered meanwhile, more items are needed"
	}
	line := fmt.Sprintf("is %.2f times that while it stays (index of %.0f MB in the end)", r.Times(), mega(r.Index))
	if r.Server != sut.Memcached {
		line += fmt.Sprintf(", target %d: %s", pauseTarget, met(r.Times() <= pauseTarget))
	}
	return line
}
