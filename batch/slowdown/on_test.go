//go:build slowdown

package slowdown

import (
	"runtime"
	"testing"
)

// TestQuantaTakeLonger works in quanta of equal length and looks at the thread's CPU time: percent more, however long a quantum is.
func TestQuantaTakeLonger(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, c := range []struct {
		percent string
		work    int // iterations
		least   float64
		most    float64
	}{{"0", 20_000, 0.97, 1.03}, {"20", 20_000, 1.15, 1.25}, {"20", 5000, 1.15, 1.25}} {
		percent = c.percent
		best := 100.0 // others may have the core's other half, or its caches, in some of the tries
		for range 5 {
			var s Thread
			quanta := func(n int, with bool) float64 {
				began := threadTime()
				for range n {
					spin(c.work)
					if with {
						s.Quantum()
					}
				}
				return float64(threadTime()-began) / float64(n)
			}
			plain := quanta(lookEvery, false)
			quanta(3*lookEvery, true) // it finds out how long a quantum is
			if r := quanta(lookEvery, true) / plain; r < c.least || r > c.most {
				best = r
				continue
			}
			best = 1
			break
		}
		if best != 1 {
			t.Errorf("%s %% of %d iterations: a quantum takes %.3f of what it does without", c.percent, c.work, best)
		}
	}
}
