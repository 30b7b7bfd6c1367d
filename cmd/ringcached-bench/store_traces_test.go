package main

import (
	"math/rand/v2"
	"testing"

	"ringcached/bench/evictsim"
	"ringcached/bench/load"
	"ringcached/bench/zipf"
	"ringcached/store"
)

// Of the traces that are put to the store itself: what the cache holds, how many keys there are, and how many requests
// come in a second of its clock.
const (
	tracesMemory            = 16 << 20
	tracesItem, tracesKeys  = 1000, 145_888
	tracesRate, tracesSeeds = 6000, 2
	smallTracesMemory       = 32 << 20
	smallTracesItem         = 500
	smallTracesKeys         = 400_000
	smallTracesRate         = 16_450
	mixedTracesKeys         = 224_365
)

// BenchmarkStoreTraces shows the hits of the store itself on hit-ratio's traces and some more, in percent, on the
// average of two seeds. Nothing is measured in time and there is no chance in it: run it with -benchtime 1x.
func BenchmarkStoreTraces(b *testing.B) {
	for _, t := range evictsim.Traces() {
		benchmarkTrace(b, t.Title, func(b *testing.B, seed uint64) float64 {
			memory, item, keys, rate := int64(tracesMemory), tracesItem, tracesKeys, tracesRate
			switch {
			case t.Small:
				memory, item, keys, rate = smallTracesMemory, smallTracesItem, smallTracesKeys, smallTracesRate
			case t.Mixed:
				keys = mixedTracesKeys
			}
			requests := t.Take(keys, seed, 4*keys)
			for i := range requests {
				if !t.Mixed {
					requests[i].Size = uint32(item)
				}
			}
			return lookAsideStore(b, memory, requests, keys*5/2, rate)
		})
	}
	for _, t := range []struct {
		title string
		next  func(*rand.Rand, *zipf.Zipf) func(i int) uint32
	}{
		{"Zipf 0.9 and a loop", func(_ *rand.Rand, z *zipf.Zipf) func(int) uint32 {
			return func(i int) uint32 { return [2]uint32{z.Draw(), tracesKeys + uint32(i/2%(tracesKeys/10))}[i%2] }
		}},
		{"Zipf 0.9 and bursts within 2000", burstsWithin(2000)},
		{"Zipf 0.9 and bursts within 10000", burstsWithin(10_000)},
	} {
		benchmarkTrace(b, t.title, func(b *testing.B, seed uint64) float64 {
			src := rand.NewPCG(seed, 1)
			next := t.next(rand.New(src), zipf.New(src, tracesKeys, 0.9))
			requests := make([]evictsim.Request, 4*tracesKeys)
			for i := range requests {
				requests[i] = evictsim.Request{Key: next(i), Size: tracesItem}
			}
			return lookAsideStore(b, tracesMemory, requests, tracesKeys*5/2, tracesRate)
		})
	}
}

func benchmarkTrace(b *testing.B, title string, hits func(b *testing.B, seed uint64) float64) {
	b.Run(title, func(b *testing.B) {
		for b.Loop() {
			sum := 0.0
			for seed := range uint64(tracesSeeds) {
				sum += 100 * hits(b, seed+1) / tracesSeeds
			}
			b.ReportMetric(sum, "%hits")
			b.ReportMetric(0, "ns/op")
		}
	})
}

// burstsWithin lets three in ten requests be for keys that are asked for three times within so many requests and never
// again.
func burstsWithin(within int) func(*rand.Rand, *zipf.Zipf) func(int) uint32 {
	return func(r *rand.Rand, z *zipf.Zipf) func(int) uint32 {
		due, late, fresh := make([][]uint32, within+1), []uint32(nil), uint32(tracesKeys)
		return func(i int) uint32 {
			at := &due[i%len(due)]
			late, *at = append(late, *at...), nil
			switch {
			case r.IntN(10) == 0:
				fresh++
				for range 2 {
					j := (i + 1 + r.IntN(within)) % len(due)
					due[j] = append(due[j], fresh)
				}
				return fresh
			case len(late) > 0:
				key := late[0]
				late = late[1:]
				return key
			}
			return z.Draw()
		}
	}
}

// lookAsideStore puts requests to a store of so many bytes: a get, and a set if that misses. It returns the part of hits
// after the first warmup requests.
func lookAsideStore(b *testing.B, memory int64, requests []evictsim.Request, warmup, rate int) float64 {
	const keySize = 20
	s, err := store.New(store.Config{Limit: memory, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	hits := 0
	for i, r := range requests {
		if i%rate == 0 {
			s.SetNow(uint32(1000 + i/rate))
		}
		key := load.AppendItemKey(nil, r.Key, keySize)
		e := s.Lock(key, s.Hash(key))
		hit := e.Item().Valid()
		if hit {
			e.MarkUsed()
		}
		e.Unlock()
		switch {
		case !hit:
			it, err := s.Alloc(key, 0, 0, int(r.Size)-keySize)
			if err != nil {
				b.Fatal(err)
			}
			e := s.Lock(key, s.Hash(key))
			e.Link(it)
			e.Unlock()
		case i >= warmup:
			hits++
		}
	}
	return float64(hits) / float64(len(requests)-warmup)
}
