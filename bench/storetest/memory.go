package storetest

import (
	"context"
	"fmt"
	"io"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Memory is what the experiment of that name found.
type Memory struct {
	Count     int         `json:"items"`
	KeySize   int         `json:"key_size"`
	ValueSize int         `json:"value_size"`
	MemoryMB  int         `json:"memory_mb"`
	Rows      []MemoryRow `json:"rows"`
}

// MemoryRow is one server with that many items. Sizes are in bytes.
type MemoryRow struct {
	Server   string  `json:"server"`
	Items    int64   `json:"items"`
	Empty    int64   `json:"resident_empty"` // before the first item
	Resident int64   `json:"resident"`
	Slabs    int64   `json:"slabs"` // pages that classes have
	Index    int64   `json:"index"`
	Seconds  float64 `json:"seconds"` // for storing them
}

// The items of pause and memory.
const (
	manyKey   = 20
	manyValue = 32
	// manyRoom is the memory for each of them, in bytes, that is more than any of the servers needs.
	manyRoom = 160
)

// manyMB is a memory limit at which n items fit into any of the servers.
func manyMB(n int) int { return n*manyRoom/pageSize + 16 }

func runMemory(ctx context.Context, s *storing) (Result, error) {
	n := s.options.Scale.Items
	m := &Memory{Count: n, KeySize: manyKey, ValueSize: manyValue, MemoryMB: manyMB(n)}
	for i := range s.subjects {
		sub := &s.subjects[i]
		s.stage("memory: %s, %d items", sub.Name, n)
		row := MemoryRow{Server: sub.Name}
		if err := s.with(ctx, sub, m.MemoryMB, func(in *sut.Instance) error { return row.fill(ctx, in, n) }); err != nil {
			return m, err
		}
		m.Rows = append(m.Rows, row)
	}
	return m, nil
}

func (r *MemoryRow) fill(ctx context.Context, in *sut.Instance, n int) error {
	g, err := sut.ReadGauge(ctx, in)
	if err != nil {
		return err
	}
	r.Empty = g.Resident
	f, err := load.OpenFeed(ctx, in.Addr, manyKey, manyValue)
	if err != nil {
		return err
	}
	defer f.Close()
	began := time.Now()
	if err := f.Store(0, n); err != nil {
		return err
	}
	r.Seconds = time.Since(began).Seconds()
	if err := awaitIndex(ctx, in); err != nil {
		return err
	}
	if g, err = sut.ReadGauge(ctx, in); err != nil {
		return err
	}
	slabs, err := load.AskStats(ctx, in.Addr, "slabs")
	if err != nil {
		return err
	}
	if r.Slabs, err = sut.StatNumber(slabs, "total_malloced"); err != nil {
		return err
	}
	r.Items, r.Resident, r.Index = g.Items, g.Resident, g.Index
	if r.Items != int64(n) {
		return fmt.Errorf("%d of %d items are there", r.Items, n)
	}
	return nil
}

const (
	// indexTimeout bounds how long a server may go on enlarging its index when nothing is stored any more.
	indexTimeout = time.Minute
	// indexLook is how often memcached looks whether its index is too small, and some more. ringcached's grows with each item.
	indexLook = 1500 * time.Millisecond
)

// awaitIndex waits until the server does not enlarge its index any more, as memcached does in a thread of its own.
func awaitIndex(ctx context.Context, in *sut.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	var look time.Duration
	if in.Name == sut.Memcached {
		look = indexLook
	}
	for last := time.Now(); ; {
		stats, err := load.AskStats(ctx, in.Addr, "")
		if err != nil {
			return err
		}
		if stats["hash_is_expanding"] == "1" {
			last = time.Now()
		} else if time.Since(last) >= look {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the index grows on: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// beside is what an item costs on average beside its key and value, if all items together cost the given bytes.
func (r *MemoryRow) beside(bytes int64) float64 {
	return float64(bytes-r.Items*(manyKey+manyValue)) / float64(r.Items)
}

// Print is Result's.
func (m *Memory) Print(w io.Writer) {
	payload := int64(m.KeySize + m.ValueSize)
	fmt.Fprintf(w, "  %d items of %d+%d B, -m %d; key and value alone are %.0f MB\n", m.Count, m.KeySize, m.ValueSize, m.MemoryMB, mega(int64(m.Count)*payload))
	fmt.Fprintf(w, "  %-11s %8s %8s %8s %8s %8s  %-24s  %s\n", "server", "RSS MB", "empty", "slabs", "index", "other", "beside key+value, B/item", "stored/s")
	for _, r := range m.Rows {
		other := r.Resident - r.Slabs - r.Index
		fmt.Fprintf(w, "  %-11s %8.0f %8.1f %8.0f %8.0f %8.0f  %-24s  %.0f\n", r.Server, mega(r.Resident), mega(r.Empty), mega(r.Slabs), mega(r.Index), mega(other),
			fmt.Sprintf("%.1f (slabs %.1f)", r.beside(r.Resident), r.beside(r.Slabs)), float64(r.Items)/r.Seconds)
	}
	for _, r := range m.Rows {
		fmt.Fprintf(w, "  %s: resident %.0f MB, -m and index %.0f MB: %s\n", r.Server, mega(r.Resident), float64(m.MemoryMB)+mega(r.Index),
			within(r.Resident <= int64(m.MemoryMB)<<20+r.Index+r.Empty))
	}
}

func within(ok bool) string {
	if ok {
		return "within"
	}
	return "ABOVE"
}
