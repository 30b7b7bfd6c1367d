package latency

import (
	"math/bits"
	"sync/atomic"
)

// Period is for how many calls of proto.Worker.Data one is timed, on average.
const Period = 64

// bitmap has a bit for each bucket.
type bitmap [(Buckets + 63) / 64]uint64

// Sampler chooses the calls that are timed and counts their times. It belongs to one worker and is plain memory: others read what it publishes.
// Its zero value chooses every call.
type Sampler struct {
	left    int32 // calls before the next one that is chosen
	period  uint32
	random  uint64
	changed uint8 // a bit for each class that counted something since Publish
	dirty   [Classes]bitmap
	counts  [Classes]Histogram
}

// It does not compile when there are more classes than Sampler.changed has bits.
const _ = 8 - Classes

// Init makes s choose one of period calls, an even number, on average. Samplers with different seeds choose different ones.
func (s *Sampler) Init(seed uint64, period int) {
	s.random, s.period = seed*0x9e3779b97f4a7c15|1, uint32(period)
	s.rearm()
}

// Due says whether the call that it is asked about is chosen. It is small enough to be inlined: for most calls it costs a subtraction and a branch.
func (s *Sampler) Due() bool {
	if s.left--; s.left >= 0 {
		return false
	}
	s.rearm()
	return true
}

// rearm chooses how many calls are passed over, between half the period and three halves. A fixed number could fall into step with a client that
// repeats itself, and always choose the same request of its round.
//
//go:noinline
func (s *Sampler) rearm() {
	if s.period == 0 {
		s.left = 0
		return
	}
	s.random = s.random*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
	s.left = int32(s.period/2) + int32((s.random>>32)*uint64(s.period-1)>>32)
}

// Count counts that a command of class c was handled in that many nanoseconds.
func (s *Sampler) Count(c Class, ns int64) {
	ns = max(ns, 0) // a clock that went back
	i := bucket(ns)
	h := &s.counts[c]
	h.Counts[i]++
	h.Sum += uint64(ns)
	s.dirty[c][i/64] |= 1 << (i % 64)
	s.changed |= 1 << c
}

// Published are a worker's times for others to read. Only the worker writes them.
type Published struct {
	classes [Classes]struct {
		counts [Buckets]atomic.Uint64
		sum    atomic.Uint64
	}
}

// Publish copies what changed since the last time. Where nothing did it costs a branch.
func (s *Sampler) Publish(to *Published) {
	for ; s.changed != 0; s.changed &= s.changed - 1 {
		class := bits.TrailingZeros8(s.changed)
		from, to := &s.counts[class], &to.classes[class]
		for word, m := range s.dirty[class] {
			for ; m != 0; m &= m - 1 {
				i := word*64 + bits.TrailingZeros64(m)
				to.counts[i].Store(from.Counts[i])
			}
		}
		to.sum.Store(from.Sum)
		s.dirty[class] = bitmap{}
	}
}

// AddTo adds what was published of a class to h. While the worker publishes, Sum may be a few samples ahead of Counts or behind.
func (p *Published) AddTo(c Class, h *Histogram) {
	from := &p.classes[c]
	for i := range h.Counts {
		h.Counts[i] += from.counts[i].Load()
	}
	h.Sum += from.sum.Load()
}
