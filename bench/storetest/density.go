package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	r.note("-m %d, full", s.options.Scale.DensityMB)
	items := r.table(Column{"key+value", "%s"}, Column{"server", "%s"}, Column{"items", "%d"}, Column{"RSS MB", "%.1f"}, Column{"target", "%d"}, Column{"", "%s"})
	classes := r.table(Column{"key+value", "%s"}, Column{"server", "%s"}, Column{"class", "%d"}, Column{"chunk B", "%d"}, Column{"pages", "%d"},
		Column{"items", "%d"}, Column{"of the pages: key+value", "%.1f %%"}, Column{"headers", "%.1f %%"}, Column{"chunk ends", "%.1f %%"},
		Column{"free", "%.1f %%"}, Column{"page ends", "%.2f %%"})
	for _, size := range densitySizes {
		name := fmt.Sprintf("%d+%d", size.key, size.value)
		err := s.each(ctx, s.options.Scale.DensityMB, "items of "+name+" B until it evicts", func(in *sut.Instance) error {
			g, err := fillUp(ctx, in, size.key, size.value, s.options.Scale.DensityMB)
			if err != nil {
				return err
			}
			if row := []any{name, in.Name, g.Items, mega(g.Resident)}; s.options.Scale.DensityMB == densityTargetMB && in.Name != sut.Memcached {
				items.add(append(row, size.target, met(g.Items >= size.target))...)
			} else {
				items.add(append(row, nil, "")...)
			}
			return addClasses(ctx, in.Addr, size.key+size.value, func(class ...any) { classes.add(append([]any{name, in.Name}, class...)...) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fillUp stores items until the server evicts, and looks at it when it has enlarged its index.
func fillUp(ctx context.Context, in *sut.Instance, key, value, memoryMB int) (g sut.Gauge, err error) {
	f, err := load.OpenFeed(ctx, in.Addr, key, value)
	if err != nil {
		return g, err
	}
	defer f.Close()
	fits := memoryMB * pageSize / (key + value) // more than can be
	step := max(fits/200, 1)
	for stored := 0; g.Evictions == 0; stored += step {
		if stored > 2*fits {
			return g, fmt.Errorf("%d items are stored in %d MB without an eviction", stored, memoryMB)
		}
		if err := f.Store(stored, step); err != nil {
			return g, err
		}
		if g, err = sut.ReadGauge(ctx, in); err != nil {
			return g, err
		}
	}
	if err := awaitIndex(ctx, in); err != nil {
		return g, err
	}
	return sut.ReadGauge(ctx, in)
}

// addClasses asks how the slab classes use their memory, for items that each have the given bytes of key and value: id, chunk size, pages, items, and
// the parts of the pages in percent that are keys and values, the server's headers, chunks' ends behind items, free chunks, and pages' ends.
func addClasses(ctx context.Context, addr string, payload int, add func(class ...any)) error {
	slabs, serr := load.AskStats(ctx, addr, "slabs")
	items, err := load.AskStats(ctx, addr, "items")
	err = errors.Join(serr, err)
	number := func(from map[string]string, name string) int64 {
		n, e := sut.StatNumber(from, name)
		err = errors.Join(err, e)
		return n
	}
	var ids []int
	for name := range slabs {
		if prefix, ok := strings.CutSuffix(name, ":chunk_size"); ok {
			id, e := strconv.Atoi(prefix)
			ids, err = append(ids, id), errors.Join(err, e)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		prefix := strconv.Itoa(id) + ":"
		chunk, pages, perPage := number(slabs, prefix+"chunk_size"), number(slabs, prefix+"total_pages"), number(slabs, prefix+"chunks_per_page")
		used, free := number(slabs, prefix+"used_chunks"), number(slabs, prefix+"free_chunks")
		var count, requested int64
		if _, ok := items["items:"+prefix+"number"]; ok {
			count, requested = number(items, "items:"+prefix+"number"), number(items, "items:"+prefix+"mem_requested")
		}
		part := func(n int64) float64 { return 100 * float64(n) / float64(max(pages, 1)*pageSize) }
		content := count * int64(payload)
		add(id, chunk, pages, count, part(content), part(requested-content), part(used*chunk-requested), part(free*chunk), part(pages*(pageSize-perPage*chunk)))
	}
	return err
}
