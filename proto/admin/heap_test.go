package admin

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMinHeap: what is popped comes in order, however pushes and pops alternate.
func TestMinHeap(t *testing.T) {
	h := minHeap[int]{less: func(a, b int) bool { return a < b }}
	r := rand.New(rand.NewPCG(1, 2))
	var in []int
	for range 10_000 {
		if len(in) == 0 || r.IntN(3) > 0 {
			v := r.IntN(1000)
			h.push(v)
			in = append(in, v)
			continue
		}
		least := slices.Min(in)
		if got := h.pop(); got != least {
			t.Fatalf("got %d, want %d", got, least)
		}
		i := slices.Index(in, least)
		in = slices.Delete(in, i, i+1)
	}
	slices.Sort(in)
	for _, want := range in {
		if got := h.pop(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
}
