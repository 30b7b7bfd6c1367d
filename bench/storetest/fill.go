package storetest

import (
	"context"
	"fmt"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// densitySizes are those of the items that density tries, with how many of them 64 MB shall hold.
var densitySizes = []struct {
	key, value int
	target     int64
}{{20, 32, 700_000}, {20, 200, 245_000}, {30, 1000, 58_000}}

// densityTargetMB is the memory that the targets are for, and pageSize that of memcached and of ringcached.
const densityTargetMB, pageSize = 64, 1 << 20

func runDensity(ctx context.Context, s *session, r *Result) error {
	memory := s.options.Scale.DensityMB
	r.note("-m %d, full", memory)
	items := r.table("key+value|%s", "server|%s", "items|%d", "RSS MB|%.1f", "target|%d", "|%s")
	classes := r.table("key+value|%s", "server|%s", "class|%d", "chunk B|%d", "pages|%d", "items|%d",
		"of the pages: key+value|%.1f %%", "headers|%.1f %%", "chunk ends|%.1f %%", "free|%.1f %%", "page ends|%.2f %%")
	for _, size := range densitySizes {
		name := fmt.Sprintf("%d+%d", size.key, size.value)
		err := s.each(ctx, memory, "items of "+name+" B until it evicts", func(p *probe) {
			g := p.fillUp(size.key, size.value, memory)
			row := []any{name, p.Name, g.items, mega(g.resident), nil, ""}
			if memory == densityTargetMB && p.Name != sut.Memcached {
				row[4], row[5] = size.target, met(g.items >= size.target)
			}
			items.add(row...)
			for _, class := range p.classes(size.key + size.value) {
				classes.add(append([]any{name, p.Name}, class...)...)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fillUp stores items until the server evicts, and a twentieth of what fits more, in which it can move pages that it
// has for other sizes, such as for the beginnings of values. It looks at the server when that has enlarged its index.
func (p *probe) fillUp(key, value, memoryMB int) gauge {
	p.open(key, value)
	fits := memoryMB * pageSize / (key + value) // more than can be
	step := max(fits/200, 1)
	for stored, further := 0, 10; further > 0 && p.err == nil; stored += step {
		if stored > 2*fits {
			p.fail("%d items are stored in %d MB without an eviction", stored, memoryMB)
		}
		p.store(stored, step)
		if p.gauge().evictions > 0 {
			further--
		}
	}
	p.awaitIndex()
	return p.gauge()
}

// classes asks how the slab classes use their memory, for items that each have the given bytes of key and value, in
// the columns of runDensity's second table but for the first two.
func (p *probe) classes(payload int) (all [][]any) {
	slabs, items := p.stats("slabs"), p.stats("items")
	for id := range 256 {
		in, of := fmt.Sprintf("%d:", id), fmt.Sprintf("items:%d:", id)
		if slabs[in+"chunk_size"] == "" {
			continue
		}
		slab := func(name string) int64 { return p.number(slabs, in+name) }
		chunk, pages, perPage := slab("chunk_size"), slab("total_pages"), slab("chunks_per_page")
		used, free := slab("used_chunks"), slab("free_chunks")
		var count, requested int64
		if items[of+"number"] != "" {
			count, requested = p.number(items, of+"number"), p.number(items, of+"mem_requested")
		}
		content := count * int64(payload)
		part := func(n int64) float64 { return 100 * float64(n) / float64(max(pages, 1)*pageSize) }
		all = append(all, []any{id, chunk, pages, count, part(content), part(requested - content),
			part(used*chunk - requested), part(free * chunk), part(pages * (pageSize - perPage*chunk))})
	}
	return all
}

// The items of pause and memory: bytes of key and value, and the memory for each, which is more than any server needs.
const manyKey, manyValue, manyRoom = 20, 32, 160

// manyMB is a memory limit at which n items fit into any of the servers.
func manyMB(n int) int { return n*manyRoom/pageSize + 16 }

func runMemory(ctx context.Context, s *session, r *Result) error {
	n := s.options.Scale.Items
	memoryMB := manyMB(n)
	r.note("%d items of %d+%d B, -m %d; key and value alone are %.0f MB",
		n, manyKey, manyValue, memoryMB, mega(int64(n)*(manyKey+manyValue)))
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
	t.add(p.Name, mega(g.resident), mega(empty.resident), mega(slabs), mega(g.index), mega(g.resident-slabs-g.index),
		beside(g.resident), beside(slabs), float64(n)/seconds)
	limit := int64(memoryMB)<<20 + g.index
	r.verdict("%s: resident %.0f MB, -m and index %.0f MB: %s",
		p.Name, mega(g.resident), mega(limit), judgeMemory(g.resident, limit+empty.resident))
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
	r.note("one get at a time, while %d items of %d+%d B are stored at up to %d/s; -m %d",
		z.Items, manyKey, manyValue, z.PauseRate, manyMB(z.Items))
	t := r.table("server|%s", "index|%s", "p50 us|%.1f", "p99 us|%.1f", "p99.9 us|%.1f", "max us|%.0f", "gets|%d",
		"sets/s|%.0f")
	return s.each(ctx, manyMB(z.Items), fmt.Sprintf("%d items, and a third of them again", z.Items), func(p *probe) {
		r.measurePause(p, t, s.options.Seed, z.Items, z.PauseRate)
	})
}

// measurePause stores all items, and then a third of them again, while gets of a few others are measured.
func (r *Result) measurePause(p *probe, t *Table, seed uint64, items, rate int) {
	w := load.DefaultWorkload()
	w.Connections, w.Keys, w.ValueSize = 1, 1000, manyValue
	p.try(func() error { return p.Preload(p.ctx, &w) })
	p.open(manyKey, manyValue)
	p.try(func() error {
		l, err := load.Start(p.ctx, load.Options{Endpoint: p.Endpoint, Workload: w, Threads: 1, Seed: seed, Stall: load.FeedTimeout})
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
			index, rate := [...]string{"grows", "stays"}[i], float64(n)/w.Elapsed.Seconds()
			t.add(p.Name, index, q.P50, q.P99, q.P999, q.Max, w.Operations, rate)
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

// judgePause compares the slowest gets in a thousand while the index grew and then, if both are in p999.
func (r *Result) judgePause(server string, p999 []float64, index int64) {
	if len(p999) < 2 {
		r.verdict("%s: p99.9 while the index grows is unknown: no get was answered meanwhile, more items are needed", server)
		return
	}
	times, verdict := p999[0]/max(p999[1], 0.001), ""
	if server != sut.Memcached {
		verdict = fmt.Sprintf(", target %d: %s", pauseTarget, met(times <= pauseTarget))
	}
	r.verdict("%s: p99.9 while the index grows is %.2f times that while it stays (index of %.0f MB in the end)%s",
		server, times, mega(index), verdict)
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

// probe fills a server with items and asks what became of them, until something goes wrong: then it does nothing more.
type probe struct {
	*sut.Instance
	ctx  context.Context
	err  error
	feed *load.Feeder // nil: none is open
}

// ask returns what do gives, if nothing went wrong before.
func ask[T any](p *probe, do func() (T, error)) (v T) {
	if p.err == nil {
		v, p.err = do()
	}
	return v
}

func (p *probe) try(do func() error) { ask(p, func() (any, error) { return nil, do() }) }

func (p *probe) fail(format string, args ...any) {
	p.try(func() error { return fmt.Errorf(format, args...) })
}

// open is for items with the given bytes of key and value.
func (p *probe) open(key, value int) {
	p.feed = ask(p, func() (*load.Feeder, error) { return p.OpenFeed(p.ctx, key, value) })
}

func (p *probe) close() {
	if p.feed != nil {
		p.feed.Close()
	}
}

func (p *probe) store(first, n int) { p.try(func() error { return p.feed.Store(first, n) }) }

func (p *probe) stats(group string) map[string]string {
	return ask(p, func() (map[string]string, error) { return p.AskStats(p.ctx, group) })
}

func (p *probe) number(stats map[string]string, name string) int64 {
	return ask(p, func() (int64, error) { return sut.StatNumber(stats, name) })
}

// gauge is what a server says of its store, and the system of the server.
type gauge struct {
	items, evictions int64
	bytes            int64 // of items, with the server's headers
	index            int64 // bytes of the hash table
	resident         int64 // bytes of the process, 0 if it was not started here
}

func (p *probe) gauge() (g gauge) {
	s := p.stats("")
	of := func(name string) int64 { return p.number(s, name) }
	g = gauge{items: of("curr_items"), evictions: of("evictions"), bytes: of("bytes"), index: of("hash_bytes")}
	if p.Process != nil {
		g.resident = ask(p, func() (int64, error) { return sut.MemoryBytes(p.Process.PID, "VmRSS") })
	}
	return g
}

// indexTimeout bounds how long a server may go on enlarging its index when nothing is stored any more. indexLook is how
// often memcached looks whether its index is too small, and some more; ringcached's grows with each item.
const indexTimeout, indexLook = time.Minute, 1500 * time.Millisecond

// awaitIndex waits until the server does not enlarge its index any more, as memcached does in a thread of its own.
func (p *probe) awaitIndex() {
	var look time.Duration
	if p.Name == sut.Memcached {
		look = indexLook
	}
	for began, last := time.Now(), time.Now(); p.err == nil; time.Sleep(20 * time.Millisecond) {
		if p.stats("")["hash_is_expanding"] == "1" {
			last = time.Now()
		} else if time.Since(last) >= look {
			return
		}
		if time.Since(began) > indexTimeout {
			p.fail("the index grows on")
		}
	}
}
