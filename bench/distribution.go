package bench

import (
	"fmt"
	"math/bits"
	"math/rand/v2"

	"ringcached/bench/zipf"
)

// A picker draws key numbers in [0, n). It belongs to one load thread.
type picker interface {
	Draw() uint32
}

// Key distributions by the names that the command line uses.
const (
	Uniform = "uniform"
	Zipf    = "zipf"
)

func newPicker(w *Workload, src *rand.PCG) (picker, error) {
	switch w.KeyDist {
	case Uniform:
		return &uniformPicker{src: src, n: uint64(w.Keys)}, nil
	case Zipf:
		return zipf.New(src, w.Keys, w.ZipfS), nil
	}
	return nil, fmt.Errorf("key distribution %q: want %s or %s", w.KeyDist, Uniform, Zipf)
}

type uniformPicker struct {
	src *rand.PCG
	n   uint64
}

// Draw takes the high word of random*n. Its bias is n/2^64, far below what any run could show.
func (u *uniformPicker) Draw() uint32 {
	hi, _ := bits.Mul64(u.src.Uint64(), u.n)
	return uint32(hi)
}
