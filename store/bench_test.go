package store

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
)

const benchItems = 100_000

// warm is a store with benchItems items of 20-byte keys and 32-byte values, and the keys in an order that is not the order in memory.
func warm(tb testing.TB) (*Store, [][]byte) {
	s, err := New(Config{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	keys := make([][]byte, benchItems)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%016d", i*7919%benchItems)
		mustSet(tb, s, string(keys[i]), "0123456789abcdef0123456789abcdef")
	}
	return s, keys
}

// hit is what a get does.
func hit(s *Store, key []byte, v *View) int {
	hash := s.Hash(key)
	switch s.TryGet(key, hash, new(Approach), v) {
	case Hit:
		return len(v.Text())
	case Miss:
		return 0
	}
	e := s.Lock(key, hash)
	n := 0
	if it := e.Item(); it.Valid() {
		n = len(s.Text(it))
		e.MarkUsed()
	}
	e.Unlock()
	return n
}

// put is what a set does.
func put(s *Store, key, value []byte) {
	it, err := s.Alloc(key, 0, 0, len(value)-2)
	if err != nil {
		panic(err)
	}
	copy(s.Writable(it, 0), value)
	e := s.Lock(key, s.Hash(key))
	e.Link(it)
	e.Unlock()
}

var benchValue = []byte("0123456789abcdef0123456789abcdef\r\n")

func BenchmarkGet(b *testing.B) {
	s, keys := warm(b)
	b.ReportAllocs()
	var v View
	i := 0
	for b.Loop() {
		if hit(s, keys[i], &v) == 0 {
			b.Fatal("a key is gone")
		}
		if i++; i == benchItems {
			i = 0
		}
	}
}

// BenchmarkGetHot has few keys, as a cache sees them: what is left is the code, not memory.
func BenchmarkGetHot(b *testing.B) {
	s, keys := warm(b)
	b.ReportAllocs()
	var v View
	i := 0
	for b.Loop() {
		hit(s, keys[i&63], &v)
		i++
	}
}

func BenchmarkMiss(b *testing.B) {
	s, keys := warm(b)
	for _, key := range keys {
		key[0] = 'x'
	}
	b.ReportAllocs()
	var v View
	i := 0
	for b.Loop() {
		hit(s, keys[i], &v)
		if i++; i == benchItems {
			i = 0
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s, keys := warm(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		put(s, keys[i], benchValue)
		if i++; i == benchItems {
			i = 0
		}
	}
}

// BenchmarkSetEvict has a full store and ever new keys.
func BenchmarkSetEvict(b *testing.B) {
	s, _ := warm(b)
	key := []byte("new:0000000000000000")
	next := func() {
		for i := len(key) - 1; ; i-- {
			if key[i]++; key[i] <= '9' {
				return
			}
			key[i] = '0'
		}
	}
	for s.Stats().Evictions == 0 {
		for range 1000 {
			next()
			put(s, key, benchValue)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		next()
		put(s, key, benchValue)
	}
}

// BenchmarkHash has keys of lengths that are common, and the longest.
func BenchmarkHash(b *testing.B) {
	s := open(b, small)
	for _, n := range []int{3, 8, 16, 20, 40, 100, KeyMax} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			key := bytes.Repeat([]byte("k"), n)
			for b.Loop() {
				s.Hash(key)
			}
		})
	}
}

// BenchmarkGetParallel and BenchmarkMixParallel show how cores share the store: run with -cpu 1,2.
func BenchmarkGetParallel(b *testing.B) {
	s, keys := warm(b)
	b.ReportAllocs()
	var seed atomic.Uint32
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		var v View
		for i := seed.Add(7919); p.Next(); i++ {
			hit(s, keys[i%benchItems], &v)
		}
	})
}

func BenchmarkMixParallel(b *testing.B) {
	s, keys := warm(b)
	b.ReportAllocs()
	var seed atomic.Uint32
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		var v View
		for i := seed.Add(7919); p.Next(); i++ {
			if i%10 == 0 {
				put(s, keys[i%benchItems], benchValue)
			} else {
				hit(s, keys[i%benchItems], &v)
			}
		}
	})
}

// BenchmarkText is what a get's reply would cost if flags and length were rendered for each of them, beside the copy that it takes.
func BenchmarkText(b *testing.B) {
	key := []byte("key:0000000000001234")
	text := make([]byte, len(key)+len(" 0 1024\r\n"))
	b.Run("rendered", func(b *testing.B) {
		for b.Loop() {
			writeText(text, key, 0, 1024)
		}
	})
	b.Run("copied", func(b *testing.B) {
		item := append([]byte(nil), text...)
		for b.Loop() {
			copy(text, item)
		}
	})
}
