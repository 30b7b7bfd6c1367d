package storetest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// itemSize is a size of items that density tries.
type itemSize struct {
	key, value int
	target     int64 // items that 64 MB shall hold
}

var densitySizes = []itemSize{{20, 32, 700_000}, {20, 200, 245_000}, {30, 1000, 58_000}}

// densityTargetMB is the memory that the targets are for.
const densityTargetMB = 64

// Density is what the experiment of that name found.
type Density struct {
	MemoryMB int          `json:"memory_mb"`
	Rows     []DensityRow `json:"rows"`
}

// DensityRow is one server full of items of one size.
type DensityRow struct {
	Server    string     `json:"server"`
	KeySize   int        `json:"key_size"`
	ValueSize int        `json:"value_size"`
	Items     int64      `json:"items"`            // there when evictions had begun
	Target    int64      `json:"target,omitempty"` // 0: none
	Resident  int64      `json:"resident_bytes"`   // then, when the index had been enlarged
	Classes   []ClassUse `json:"classes"`
}

// ClassUse is how a slab class uses its memory, in bytes but for the counts.
type ClassUse struct {
	ID        int   `json:"id"`
	ChunkSize int64 `json:"chunk_size"`
	Pages     int64 `json:"pages"`
	Items     int64 `json:"items"`
	Payload   int64 `json:"payload"`   // keys and values
	Headers   int64 `json:"headers"`   // what the server adds to them
	ChunkEnds int64 `json:"chunk_end"` // of chunks in use, behind the items
	Free      int64 `json:"free"`      // chunks
	PageEnds  int64 `json:"page_end"`  // of pages, behind the last chunk
}

// pageSize is that of memcached and of ringcached.
const pageSize = 1 << 20

func runDensity(ctx context.Context, s *storing) (Result, error) {
	d := &Density{MemoryMB: s.options.Scale.DensityMB}
	for _, size := range densitySizes {
		for i := range s.subjects {
			sub := &s.subjects[i]
			s.stage("density: %s, items of %d+%d B until it evicts", sub.Name, size.key, size.value)
			row := DensityRow{Server: sub.Name, KeySize: size.key, ValueSize: size.value}
			if d.MemoryMB == densityTargetMB {
				row.Target = size.target
			}
			if err := s.with(ctx, sub, d.MemoryMB, func(in *sut.Instance) error { return row.fill(ctx, in, d.MemoryMB) }); err != nil {
				return d, err
			}
			d.Rows = append(d.Rows, row)
		}
	}
	return d, nil
}

// fill stores items until the server evicts, and looks at it then.
func (r *DensityRow) fill(ctx context.Context, in *sut.Instance, memoryMB int) error {
	f, err := load.OpenFeed(ctx, in.Addr, r.KeySize, r.ValueSize)
	if err != nil {
		return err
	}
	defer f.Close()
	payload := r.KeySize + r.ValueSize
	fits := memoryMB * pageSize / payload // more than can be
	step := max(fits/200, 1)
	var g sut.Gauge
	for stored := 0; g.Evictions == 0; stored += step {
		if stored > 2*fits {
			return fmt.Errorf("%d items are stored in %d MB without an eviction", stored, memoryMB)
		}
		if err := f.Store(stored, step); err != nil {
			return err
		}
		if g, err = sut.ReadGauge(ctx, in); err != nil {
			return err
		}
	}
	if err := awaitIndex(ctx, in); err != nil {
		return err
	}
	if g, err = sut.ReadGauge(ctx, in); err != nil {
		return err
	}
	r.Items, r.Resident = g.Items, g.Resident
	r.Classes, err = readClasses(ctx, in.Addr, payload)
	return err
}

// readClasses asks how the classes use their memory, for items that each have the given bytes of key and value.
func readClasses(ctx context.Context, addr string, payload int) ([]ClassUse, error) {
	slabs, err := load.AskStats(ctx, addr, "slabs")
	if err != nil {
		return nil, err
	}
	items, err := load.AskStats(ctx, addr, "items")
	if err != nil {
		return nil, err
	}
	var all []ClassUse
	for name := range slabs {
		prefix, ok := strings.CutSuffix(name, ":chunk_size")
		if !ok {
			continue
		}
		c := ClassUse{}
		if c.ID, err = strconv.Atoi(prefix); err != nil {
			return nil, fmt.Errorf("statistic %s: %w", name, err)
		}
		var used, free, perPage, requested int64
		for _, f := range []struct {
			from map[string]string
			name string
			to   *int64
		}{
			{slabs, prefix + ":chunk_size", &c.ChunkSize}, {slabs, prefix + ":total_pages", &c.Pages}, {slabs, prefix + ":chunks_per_page", &perPage},
			{slabs, prefix + ":used_chunks", &used}, {slabs, prefix + ":free_chunks", &free},
			{items, "items:" + prefix + ":number", &c.Items}, {items, "items:" + prefix + ":mem_requested", &requested},
		} {
			if _, ok := f.from[f.name]; !ok && f.to == &requested || f.to == &c.Items && !ok {
				continue // a class without items
			}
			if *f.to, err = sut.StatNumber(f.from, f.name); err != nil {
				return nil, err
			}
		}
		c.Payload = c.Items * int64(payload)
		c.Headers, c.ChunkEnds = requested-c.Payload, used*c.ChunkSize-requested
		c.Free, c.PageEnds = free*c.ChunkSize, c.Pages*(pageSize-perPage*c.ChunkSize)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b ClassUse) int { return a.ID - b.ID })
	return all, nil
}

// Print is Result's.
func (d *Density) Print(w io.Writer) {
	fmt.Fprintf(w, "  -m %d, full\n", d.MemoryMB)
	fmt.Fprintf(w, "  %-10s %-11s %9s %9s %13s\n", "key+value", "server", "items", "RSS MB", "target")
	for _, r := range d.Rows {
		target := "-"
		if r.Target > 0 && r.Server != sut.Memcached {
			target = fmt.Sprintf("%d %s", r.Target, met(r.Items >= r.Target))
		}
		fmt.Fprintf(w, "  %-10s %-11s %9d %9.1f %13s\n", r.size(), r.Server, r.Items, mega(r.Resident), target)
	}
	fmt.Fprintf(w, "\n  %-10s %-11s %5s %7s %5s %9s   %s\n", "key+value", "server", "class", "chunk B", "pages", "items",
		"of the pages: key+value, headers, end of chunk, free, end of page")
	for _, r := range d.Rows {
		for _, c := range r.Classes {
			part := func(n int64) float64 { return 100 * float64(n) / float64(max(c.Pages, 1)*pageSize) }
			fmt.Fprintf(w, "  %-10s %-11s %5d %7d %5d %9d   %.1f %%, %.1f %%, %.1f %%, %.1f %%, %.2f %%\n", r.size(), r.Server, c.ID, c.ChunkSize, c.Pages, c.Items,
				part(c.Payload), part(c.Headers), part(c.ChunkEnds), part(c.Free), part(c.PageEnds))
		}
	}
}

func (r *DensityRow) size() string { return fmt.Sprintf("%d+%d", r.KeySize, r.ValueSize) }

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}

func mega(bytes int64) float64 { return float64(bytes) / (1 << 20) }
