package bench

import (
	"math"
	"math/rand/v2"
	"testing"
)

func draws(t *testing.T, w Workload, n int) []int {
	t.Helper()
	p, err := newPicker(&w, rand.NewPCG(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, w.Keys)
	for range n {
		counts[p.Draw()]++ // panics outside of the range
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
			p, _ := newPicker(&Workload{Keys: 1_000_000, KeyDist: d, ZipfS: 0.99}, rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				p.Draw()
			}
		})
	}
}
