package load

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

func TestValuesFollowFromKeys(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 9, 64, 1000, 70_000} {
		k := NewKeySpace(50, 10, size)
		seen := make(map[string]bool)
		for i := range uint32(50) {
			v := k.AppendValue(nil, i)
			if len(v) != size {
				t.Fatalf("size %d: key %d has a value of %d B", size, i, len(v))
			}
			if size >= StampSize && seen[string(v)] {
				t.Errorf("size %d: key %d has another key's value", size, i)
			}
			seen[string(v)] = true
			for _, cut := range []int{0, 1, 5, 8, 11, size / 2, size} {
				cut = min(cut, size)
				if at := k.Differs(v[:cut], i, 0); at >= 0 {
					t.Fatalf("size %d, key %d: first %d bytes differ at %d", size, i, cut, at)
				}
				if at := k.Differs(v[cut:], i, cut); at >= 0 {
					t.Fatalf("size %d, key %d: bytes from %d differ at %d", size, i, cut, at)
				}
			}
		}
	}
}

func TestEveryWrongByteIsFound(t *testing.T) {
	k := NewKeySpace(10, 4, 200)
	v := k.AppendValue(nil, 7)
	for i := range v {
		bad := bytes.Clone(v)
		bad[i] ^= 0x20
		if at := k.Differs(bad, 7, 0); at != i {
			t.Fatalf("byte %d is wrong, differs says %d", i, at)
		}
	}
	if k.Differs(v, 8, 0) < 0 {
		t.Error("another key's value was accepted")
	}
}

func TestKeysAreDistinctAndOfOneLength(t *testing.T) {
	for _, count := range []int{1, 10, 11, 1000} {
		k := NewKeySpace(count, minKeySize(count), 1)
		seen := make(map[string]bool)
		for i := range count {
			key := string(k.key(uint32(i)))
			if seen[key] || len(key) != minKeySize(count) {
				t.Fatalf("%d keys: key %d is %q", count, i, key)
			}
			seen[key] = true
		}
	}
}

func draws(t *testing.T, w Workload, n int) []int {
	t.Helper()
	draw := w.picker(rand.NewPCG(1, 2))
	counts := make([]int, w.Keys)
	for range n {
		counts[draw()]++ // panics outside of the range
	}
	return counts
}

func TestUniformIsEven(t *testing.T) {
	const keys, n = 100, 200_000
	var chi float64
	for _, c := range draws(t, Workload{Keys: keys, KeyDist: Uniform}, n) {
		d := float64(c) - n/keys
		chi += d * d / (n / keys)
	}
	// 99 degrees of freedom: above 149 once in a thousand, and the seed is fixed.
	if chi > 149 {
		t.Errorf("chi squared is %.1f", chi)
	}
}

func TestZipfFollowsItsLaw(t *testing.T) {
	const keys, n = 1000, 400_000
	for _, s := range []float64{0.5, 0.99, 1, 1.3, 2.5} {
		counts := draws(t, Workload{Keys: keys, KeyDist: Zipf, ZipfS: s}, n)
		var norm float64
		for k := 1; k <= keys; k++ {
			norm += math.Pow(float64(k), -s)
		}
		for _, rank := range []int{1, 2, 3, 10, 100} {
			want := n * math.Pow(float64(rank), -s) / norm
			if got := float64(counts[rank-1]); math.Abs(got-want) > 5*math.Sqrt(want)+1 {
				t.Errorf("s %g, rank %d: drawn %.0f times, want about %.0f", s, rank, got, want)
			}
		}
		var tail, want float64
		for k := 501; k <= keys; k++ {
			tail += float64(counts[k-1])
			want += n * math.Pow(float64(k), -s) / norm
		}
		if math.Abs(tail-want) > 5*math.Sqrt(want)+1 {
			t.Errorf("s %g: the last half was drawn %.0f times, want about %.0f", s, tail, want)
		}
	}
}

func TestSingleKey(t *testing.T) {
	for _, d := range []string{Uniform, Zipf} {
		if c := draws(t, Workload{Keys: 1, KeyDist: d, ZipfS: 0.99}, 1000); c[0] != 1000 {
			t.Errorf("%s: %v", d, c)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, d := range []string{Uniform, Zipf} {
		b.Run(d, func(b *testing.B) {
			draw := (&Workload{Keys: 1_000_000, KeyDist: d, ZipfS: 0.99}).picker(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				draw()
			}
		})
	}
}
