package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"ringcached/bench/evictsim"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// HitRatio is what the experiment of that name found.
type HitRatio struct {
	MemoryMB int           `json:"memory_mb"`
	Rate     int           `json:"requests_per_second"`
	Servers  []string      `json:"servers"`
	Rows     []HitRatioRow `json:"rows"`
}

// HitRatioRow is one kind of trace. Ratios are from 0 to 1.
type HitRatioRow struct {
	Trace    string `json:"trace"`
	Title    string `json:"title"`
	Keys     int    `json:"keys"`
	MemoryMB int    `json:"memory_mb"`
	Rate     int    `json:"requests_per_second"`
	Warmup   int    `json:"warmup"`  // requests before those that count
	Requests int    `json:"counted"` // those that count, of each seed
	// Seeds are the single replays, Servers their mean for each server, in order, and LRU the mean of strict LRU.
	Seeds   []HitRatioSeed `json:"seeds"`
	Servers []float64      `json:"hit_ratio"`
	LRU     float64        `json:"lru"`
}

// HitRatioSeed is one trace, put to every server.
type HitRatioSeed struct {
	Seed    uint64    `json:"seed"`
	Servers []float64 `json:"hit_ratio"`
	Items   []int64   `json:"items"` // in each server at the end
	// LRU is a simulated strict LRU that holds as many bytes of keys and values as the first server did at the end.
	LRU float64 `json:"lru"`
}

// uniformItem is the size of key and value where all items are of one size, in bytes.
const uniformItem = 1000

// itemRoom is about how many bytes of memory an item takes for each byte of its key and value.
const itemRoom = 1.15

// runHitRatio replays all traces on all servers at once: no time is measured, but a replay takes its time, since memcached's LRU works with
// seconds. If an item stayed in the cache for less than a few of them, the order of its queues would be another than it is with real
// clients.
func runHitRatio(ctx context.Context, s *storing) (Result, error) {
	z := &s.options.Scale
	h := &HitRatio{MemoryMB: z.RatioMB, Rate: z.RatioRate, Servers: s.options.Subjects}
	traces := s.options.traces()
	longest := 0
	h.Rows = make([]HitRatioRow, len(traces))
	for i, t := range traces {
		r := HitRatioRow{Trace: t.Name, Title: t.Title, MemoryMB: z.RatioMB * max(t.Memory, 1), Rate: z.RatioRate, Seeds: make([]HitRatioSeed, z.RatioSeeds)}
		r.Keys = ratioKeys(t, r.MemoryMB)
		if t.KeysPerMB > 0 { // as long as the others
			r.Rate = int(float64(z.RatioRate) * float64(r.Keys) / float64(ratioKeys(evictsim.Trace{}, z.RatioMB)))
		}
		r.Warmup, r.Requests = int(z.Warmup*float64(r.Keys)), int(z.Counted*float64(r.Keys))
		longest = max(longest, (r.Warmup+r.Requests)/r.Rate)
		h.Rows[i] = r
	}
	s.stage("hit-ratio: %s, %s each, all at once, for %d s or longer", tables.Plural(len(traces), "trace"), tables.Plural(z.RatioSeeds, "seed"), longest)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for i, t := range traces {
		for j := range h.Rows[i].Seeds {
			seed := &h.Rows[i].Seeds[j]
			seed.Seed = s.options.Seed + uint64(j)
			all.Go(func() {
				if err := seed.replay(ctx, s, t, &h.Rows[i]); err != nil {
					stop(err) // what the others do is of no use then
				}
			})
		}
	}
	all.Wait()
	for i := range h.Rows {
		h.Rows[i].mean()
	}
	return h, context.Cause(ctx)
}

// ratioKeys is ten times as many keys as there are items in so much memory, or what the trace says.
func ratioKeys(t evictsim.Trace, memoryMB int) int {
	if t.KeysPerMB > 0 {
		return t.KeysPerMB * memoryMB
	}
	const sample = 10_000
	size := float64(uniformItem)
	if t.Mixed {
		size = float64(t.Bytes(sample)) / sample
	}
	return int(10 * float64(memoryMB) * pageSize / (size * itemRoom))
}

func (r *HitRatioRow) mean() {
	r.Servers = make([]float64, len(r.Seeds[0].Servers))
	for _, seed := range r.Seeds {
		for i, ratio := range seed.Servers {
			r.Servers[i] += ratio / float64(len(r.Seeds))
		}
		r.LRU += seed.LRU / float64(len(r.Seeds))
	}
}

// replay puts one trace to all servers, and then to a simulated LRU.
func (h *HitRatioSeed) replay(ctx context.Context, s *storing, t evictsim.Trace, row *HitRatioRow) error {
	requests := t.Take(row.Keys, h.Seed, row.Warmup+row.Requests)
	if !t.Mixed {
		for i := range requests {
			requests[i].Size = uniformItem
			if t.ItemSize > 0 {
				requests[i].Size = uint32(t.ItemSize)
			}
		}
	}
	trace := newLookAsideTrace(requests, row.Warmup, row.Rate)
	h.Servers, h.Items = make([]float64, len(s.subjects)), make([]int64, len(s.subjects))
	held := make([]int64, len(s.subjects)) // bytes of keys and values
	errs := make([]error, len(s.subjects))
	var all sync.WaitGroup
	for i := range s.subjects {
		all.Go(func() {
			errs[i] = s.with(ctx, &s.subjects[i], row.MemoryMB, func(in *sut.Instance) (err error) {
				h.Servers[i], h.Items[i], held[i], err = lookAsideOn(ctx, in, trace)
				return err
			})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	h.LRU = evictsim.StrictLRU(requests, row.Warmup, held[0])
	return nil
}

// lookAsideOn puts the trace to a server that is empty. held is the size of the keys and values there at the end, in bytes.
func lookAsideOn(ctx context.Context, in *sut.Instance, t *lookAsideTrace) (ratio float64, items, held int64, err error) {
	f, err := load.OpenFeed(ctx, in.Addr, lookAsideKey, uniformItem)
	if err != nil {
		return 0, 0, 0, err
	}
	defer f.Close()
	if err := f.Store(0, 1); err != nil { // to see what a server counts for an item beside its key and value
		return 0, 0, 0, err
	}
	one, err := sut.ReadGauge(ctx, in)
	if err != nil {
		return 0, 0, 0, err
	}
	if err := f.Remove(0); err != nil {
		return 0, 0, 0, err
	}
	if ratio, err = t.run(ctx, in.Addr); err != nil {
		return 0, 0, 0, err
	}
	g, err := sut.ReadGauge(ctx, in)
	return ratio, g.Items, g.Bytes - g.Items*(one.Bytes-lookAsideKey-uniformItem), err
}

// Print is Result's.
func (h *HitRatio) Print(w io.Writer) {
	fmt.Fprintf(w, "  -m %d, about ten times as many keys as fit; %d requests/s of each trace, or as the trace says\n", h.MemoryMB, h.Rate)
	fmt.Fprintln(w, "  stay: how long an item is in the cache; memcached's LRU, which works with seconds in a thread of its own, needs that to be some seconds")
	fmt.Fprintf(w, "  %-24s %4s %9s %9s", "hits in %", "-m", "keys", "counted")
	for _, name := range h.Servers {
		fmt.Fprintf(w, " %11s", name)
	}
	fmt.Fprintf(w, " %11s %6s   %s\n", "strict LRU*", "stay", "items in each")
	for _, r := range h.Rows {
		fmt.Fprintf(w, "  %-24s %4d %9d %9d", r.Title, r.MemoryMB, r.Keys, r.Requests*len(r.Seeds))
		for _, ratio := range r.Servers {
			fmt.Fprintf(w, " %11.2f", 100*ratio)
		}
		fmt.Fprintf(w, " %11.2f %4.1f s   %v%s\n", 100*r.LRU, r.stay(), strings.Trim(fmt.Sprint(r.Seeds[0].Items), "[]"), r.verdict(h.Servers))
	}
	fmt.Fprintf(w, "  * by simulation, with the same bytes of keys and values as %s held\n", h.Servers[0])
}

// stay is how many seconds an item is in the first server's cache on the average, if the server keeps up with the rate.
func (r *HitRatioRow) stay() float64 {
	return float64(r.Seeds[0].Items[0]) / (float64(r.Rate) * max(1-r.Servers[0], 1e-9))
}

// verdict compares the first server with memcached, and says by how much the seeds differ in that.
func (r *HitRatioRow) verdict(servers []string) string {
	peer := slices.Index(servers, sut.Memcached)
	if peer < 1 {
		return ""
	}
	var differences []float64
	for _, seed := range r.Seeds {
		differences = append(differences, 100*(seed.Servers[0]-seed.Servers[peer]))
	}
	line := fmt.Sprintf("   %+.2f", 100*(r.Servers[0]-r.Servers[peer]))
	if len(differences) > 1 {
		line += fmt.Sprintf(" (%+.2f..%+.2f)", slices.Min(differences), slices.Max(differences))
	}
	if r.Servers[0] < r.Servers[peer] {
		line += " BELOW " + sut.Memcached
	}
	return line
}
