package storetest

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"ringcached/bench/evictsim"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
	"ringcached/bench/trace"
)

// evictionSizes are those of the cache in percent of the keys, or of their items' bytes.
var evictionSizes = []int{1, 10, 25}

const (
	// A simulation affords so many times as many requests as a replay on real servers.
	simWarmup, simCounted = 2, 10
	// simPage is the size of a simulated slab page in bytes: small, since the simulated memory is.
	simPage = 16 << 10
	// recordedMost is how many gets of a recorded trace are simulated, in 8 bytes each.
	recordedMost = 20_000_000
)

// study is a trace that is simulated with each of some seeds.
type study struct {
	title string
	mixed bool
	seeds int
	// take gives the requests, how many of them do not count, and what all items take.
	take func(seed uint64) (requests []evictsim.Request, warmup int, total int64, err error)
}

func runEviction(ctx context.Context, s *session, r *Result) error {
	z := &s.options.Scale
	warmup, counted := int(z.Warmup*simWarmup*float64(z.SimKeys)), int(z.Counted*simCounted*float64(z.SimKeys))
	r.note("%d keys, %d requests that count after %d, %s; the cache holds 1, 10 or 25 %% of the keys",
		z.SimKeys, counted, warmup, tables.Plural(z.SimSeeds, "seed"))
	kinds := evictsim.Kinds()
	columns := []string{"hits in %|%s", "cache|%d%%"}
	for i := range kinds {
		columns = append(columns, fmt.Sprintf("[%d]|%%.2f", i+1))
	}
	for _, k := range kinds {
		columns = append(columns, k.Name+": part of the hits that write")
	}
	t := r.table(columns...)
	if err := sut.PinProcess(s.usable); err != nil { // nothing is measured in time here
		return err
	}
	defer func() { _ = sut.PinProcess(s.options.Cores.Load) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(len(s.usable)))
	var studies []study
	for _, of := range s.options.traces() {
		take := func(seed uint64) ([]evictsim.Request, int, int64, error) {
			return of.Take(z.SimKeys, seed, warmup+counted), warmup, of.Bytes(z.SimKeys), nil
		}
		studies = append(studies, study{of.Title, of.Mixed, z.SimSeeds, take})
	}
	for _, path := range s.options.Traces {
		take := func(uint64) ([]evictsim.Request, int, int64, error) {
			requests, keys, err := trace.Accesses(ctx, path, recordedMost)
			n := len(requests)
			if err == nil && n == 0 {
				err = fmt.Errorf("%s: no gets, so nothing to simulate", path)
			}
			r.note("%s: %d gets of %d keys, of which the first quarter does not count; sizes do not, either", path, n, keys)
			return requests, n / 4, int64(keys), err
		}
		if isFile(path) {
			studies = append(studies, study{filepath.Base(path), false, 1, take})
		}
	}
	written := make([]float64, len(kinds)) // parts of the hits, summed up over all rows
	for _, of := range studies {
		if err := s.study(ctx, of, t, written); err != nil {
			return err
		}
	}
	for i, k := range kinds {
		percent := 100 * written[i] / float64(len(t.Rows))
		r.verdict("[%d] %-22s a hit writes %s; on the average %.0f %% of the hits do", i+1, k.Name, k.Writes, percent)
	}
	return nil
}

// study adds a trace's rows to the table: for each size of the cache the policies' hits in percent, then their writes.
func (s *session) study(ctx context.Context, of study, t *Table, written []float64) error {
	figures := make([][]float64, len(evictionSizes))
	for i := range figures {
		figures[i] = make([]float64, 2*len(written))
	}
	for seed := range of.seeds {
		requests, warmup, total, err := of.take(s.options.Seed + uint64(seed))
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		s.say(fmt.Sprintf("eviction: %s, %d requests", of.title, len(requests)))
		simulate(of.mixed, requests, warmup, total, figures, 1/float64(of.seeds))
	}
	for i, percent := range evictionSizes {
		row := []any{of.title, percent}
		for j, v := range figures[i] {
			if j < len(written) {
				v *= 100
			} else {
				written[j-len(written)] += v
			}
			row = append(row, v)
		}
		t.add(row...)
	}
	return nil
}

// simulate replays one trace on every policy and size, and adds what they did to the figures, by weight. total is bytes
// of all items or, if they are not mixed, their number.
func simulate(mixed bool, requests []evictsim.Request, warmup int, total int64, figures [][]float64, weight float64) {
	var all sync.WaitGroup
	for i, percent := range evictionSizes {
		for j, k := range evictsim.Kinds() {
			all.Go(func() {
				size := total * int64(percent) / 100
				c := evictsim.NewCount(k.New, max(int(size), 1))
				if mixed {
					c = evictsim.NewSlabs(k.New, size, simPage)
				}
				hits, writes := c.Replay(requests, warmup)
				figures[i][j] += hits * weight
				figures[i][j+len(figures[i])/2] += writes * weight
			})
		}
	}
	all.Wait()
}
