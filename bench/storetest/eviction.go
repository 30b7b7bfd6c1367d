package storetest

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"ringcached/bench/evictsim"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Eviction is what the experiment of that name found.
type Eviction struct {
	Keys     int           `json:"keys"`
	Warmup   int           `json:"warmup"`
	Requests int           `json:"counted"`
	Seeds    int           `json:"seeds"`
	Policies []string      `json:"policies"`
	Writes   []string      `json:"writes_of_a_hit"` // to memory that cores share
	Rows     []EvictionRow `json:"rows"`
}

// EvictionRow is a trace on a size of cache. Ratios are from 0 to 1, in the order of the policies, each a mean over the seeds.
type EvictionRow struct {
	Trace   string    `json:"trace"`
	Title   string    `json:"title"`
	Percent int       `json:"percent"` // size of the cache: of the keys, or of their items' bytes
	Ratios  []float64 `json:"hit_ratio"`
	Writes  []float64 `json:"writing_hits"` // part of the hits that wrote to memory that cores share
}

// evictionSizes are those of the cache in percent of the keys.
var evictionSizes = []int{1, 10, 25}

// A simulation affords more requests than a replay on real servers.
const (
	simWarmup  = 2  // times as many as StoreScale.Warmup says
	simCounted = 10 // and as StoreScale.Counted
)

// simPage is the size of a simulated slab page in bytes: small, since the simulated memory is.
const simPage = 16 << 10

func runEviction(ctx context.Context, s *storing) (Result, error) {
	z := &s.options.Scale
	e := &Eviction{Keys: z.SimKeys, Seeds: z.SimSeeds}
	e.Warmup, e.Requests = int(z.Warmup*simWarmup*float64(e.Keys)), int(z.Counted*simCounted*float64(e.Keys))
	kinds := evictsim.Kinds()
	for _, k := range kinds {
		e.Policies, e.Writes = append(e.Policies, k.Name), append(e.Writes, k.Writes)
	}
	traces := s.options.traces()
	if err := sut.PinProcess(s.usable); err != nil { // nothing is measured in time here
		return e, err
	}
	defer func() { _ = sut.PinProcess(s.options.Cores.Load) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(len(s.usable)))
	for _, t := range traces {
		s.stage("eviction: %s, %d requests", t.Title, e.Warmup+e.Requests)
		rows := make([]EvictionRow, len(evictionSizes))
		for i, percent := range evictionSizes {
			rows[i] = EvictionRow{Trace: t.Name, Title: t.Title, Percent: percent, Ratios: make([]float64, len(kinds)), Writes: make([]float64, len(kinds))}
		}
		for seed := range e.Seeds {
			if err := ctx.Err(); err != nil {
				return e, err
			}
			e.simulate(t, s.options.Seed+uint64(seed), kinds, rows)
		}
		e.Rows = append(e.Rows, rows...)
	}
	return e, nil
}

// simulate replays one trace on every policy and size, and adds the ratios to the rows.
func (e *Eviction) simulate(t evictsim.Trace, seed uint64, kinds []evictsim.Kind, rows []EvictionRow) {
	requests := t.Take(e.Keys, seed, e.Warmup+e.Requests)
	total := t.Bytes(e.Keys)
	var all sync.WaitGroup
	for i := range rows {
		r := &rows[i]
		for j, k := range kinds {
			all.Go(func() {
				size := total * int64(r.Percent) / 100
				c := evictsim.NewCount(k.New, int(size))
				if t.Mixed {
					c = evictsim.NewSlabs(k.New, size, simPage)
				}
				hits, writes := c.Replay(requests, e.Warmup)
				r.Ratios[j] += hits / float64(e.Seeds)
				r.Writes[j] += writes / float64(e.Seeds)
			})
		}
	}
	all.Wait()
}

// Print is Result's.
func (e *Eviction) Print(w io.Writer) {
	fmt.Fprintf(w, "  %d keys, %d requests that count after %d, %s; the cache holds 1, 10 or 25 %% of the keys\n",
		e.Keys, e.Requests, e.Warmup, tables.Plural(e.Seeds, "seed"))
	fmt.Fprintf(w, "  %-24s %5s", "hits in %", "cache")
	for i := range e.Policies {
		fmt.Fprintf(w, " %7s", fmt.Sprintf("[%d]", i+1))
	}
	fmt.Fprintln(w)
	for _, r := range e.Rows {
		fmt.Fprintf(w, "  %-24s %4d%%", r.Title, r.Percent)
		for _, ratio := range r.Ratios {
			fmt.Fprintf(w, " %7.2f", 100*ratio)
		}
		fmt.Fprintln(w)
	}
	for i, p := range e.Policies {
		var sum float64
		for _, r := range e.Rows {
			sum += r.Writes[i] / float64(len(e.Rows))
		}
		fmt.Fprintf(w, "  [%d] %-22s a hit writes %s; on the average %.0f %% of the hits do\n", i+1, p, e.Writes[i], 100*sum)
	}
}
