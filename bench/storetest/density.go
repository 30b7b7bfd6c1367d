package storetest

import (
	"context"
	"fmt"

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

// fillUp stores items until the server evicts, and a twentieth of what fits more, in which it can move pages that it has for other sizes, such as for
// the beginnings of values. It looks at the server when that has enlarged its index.
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

// classes asks how the slab classes use their memory, for items that each have the given bytes of key and value. A class is its number, chunk size,
// pages, items, and the parts of the pages in percent that are keys and values, the server's headers, chunks' ends behind items, free chunks, and
// pages' ends.
func (p *probe) classes(payload int) (all [][]any) {
	slabs, items := p.stats("slabs"), p.stats("items")
	for id := range 256 {
		in, of := fmt.Sprintf("%d:", id), fmt.Sprintf("items:%d:", id)
		if slabs[in+"chunk_size"] == "" {
			continue
		}
		chunk, pages, perPage := p.number(slabs, in+"chunk_size"), p.number(slabs, in+"total_pages"), p.number(slabs, in+"chunks_per_page")
		used, free := p.number(slabs, in+"used_chunks"), p.number(slabs, in+"free_chunks")
		var count, requested int64
		if items[of+"number"] != "" {
			count, requested = p.number(items, of+"number"), p.number(items, of+"mem_requested")
		}
		content := count * int64(payload)
		part := func(n int64) float64 { return 100 * float64(n) / float64(max(pages, 1)*pageSize) }
		all = append(all, []any{id, chunk, pages, count, part(content), part(requested - content), part(used*chunk - requested), part(free * chunk),
			part(pages * (pageSize - perPage*chunk))})
	}
	return all
}
