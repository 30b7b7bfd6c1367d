package store

import (
	"container/list"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// zipf draws numbers below its length, the first ones most often, with the given exponent: also below 1, which math/rand's cannot.
type zipf []float64

func newZipf(n int, exponent float64) zipf {
	sums := make(zipf, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -exponent)
		sums[i] = sum
	}
	return sums
}

func (z zipf) draw(r *rand.Rand) int {
	at := r.Float64() * z[len(z)-1]
	low, high := 0, len(z)-1
	for low < high {
		if middle := (low + high) / 2; z[middle] < at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// lru is the cache to compare with: strict least recently used, of a number of items.
type lru struct {
	size  int
	order *list.List
	at    map[int]*list.Element
}

func (l *lru) hit(key int) bool {
	if e := l.at[key]; e != nil {
		l.order.MoveToFront(e)
		return true
	}
	l.at[key] = l.order.PushFront(key)
	if len(l.at) > l.size {
		delete(l.at, l.order.Remove(l.order.Back()).(int))
	}
	return false
}

// TestHitRatio compares with strict LRU of as many items, on read-through traces.
func TestHitRatio(t *testing.T) {
	const keys, warmup, draws = 20_000, 30_000, 100_000
	for _, c := range []struct {
		name     string
		exponent float64
		scan     bool // a fifth of the requests are for keys that come once
	}{
		{"zipf 0.7", 0.7, false},
		{"zipf 0.99", 0.99, false},
		{"zipf 1.2", 1.2, false},
		{"zipf 0.99 with scans", 0.99, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, small)
			value := strings.Repeat("v", 4000)
			capacity := int(small.Limit/PageSize) * int(s.classFor(headerSize+8+8+4002).perPage)
			model := lru{capacity, list.New(), map[int]*list.Element{}}
			random, z := rand.New(rand.NewPCG(5, 6)), newZipf(keys, c.exponent)
			hits, modelHits, once := 0, 0, keys
			for i := range warmup + draws {
				n := z.draw(random)
				if c.scan && i%5 == 0 {
					once++
					n = once
				}
				key := fmt.Sprintf("%08d", n)
				_, ok := get(s, key)
				if !ok {
					mustSet(t, s, key, value)
				}
				if modelOK := model.hit(n); i >= warmup {
					if ok {
						hits++
					}
					if modelOK {
						modelHits++
					}
				}
			}
			ratio, modelRatio := float64(hits)/draws, float64(modelHits)/draws
			t.Logf("%.2f %% hits, strict LRU %.2f %%, for %d items", ratio*100, modelRatio*100, capacity)
			if ratio < modelRatio {
				t.Errorf("worse than LRU")
			}
		})
	}
}
