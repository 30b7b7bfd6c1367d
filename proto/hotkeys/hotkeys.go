package hotkeys

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
)

// HalfLife is in how many seconds a use counts half.
const HalfLife = 30

// Key is a key that is used often.
type Key struct {
	Name  []byte // the caller's own copy; any bytes, if clients speak the binary protocol or encode keys
	Count uint64 // how often it was used during Report.Seconds, estimated from samples, and more likely too high than too low
	Error uint64 // by how much Count may be too high for want of counters
}

// Report is what a Set has found.
type Report struct {
	Keys    []Key  // the most used first
	Uses    uint64 // of all keys during Seconds, estimated from samples
	Seconds uint32 // for how much time the counts stand, at least 1: a count divided by it is a rate
}

// Set are the sketches of all workers.
type Set struct {
	period uint64
	now    func() uint32

	mu       sync.Mutex
	sketches []*Sketch
	summary  summary // of the sketch that is being merged
}

// NewSet makes a Set. One of period uses of keys is offered to it, on average. now is a clock in seconds, which any goroutine may ask.
func NewSet(period int, now func() uint32) *Set { return &Set{period: uint64(period), now: now} }

// NewSketch makes the sketch of one more worker.
func (s *Set) NewSketch() *Sketch {
	k := newSketch(s.now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sketches = append(s.sketches, k)
	return k
}

// Top is Report's list of at most n keys.
func (s *Set) Top(n int) []Key { return s.Report(n).Keys }

// merged is what all sketches know of a key: counts are samples.
type merged struct {
	count uint64 // at most
	sure  uint64 // at least
	floor uint64 // what the sketches that have it say of keys that they do not have
}

// addTo adds the counters to keys.
func (m *summary) addTo(keys map[string]*merged) {
	for i := range m.n {
		name := m.keys[i][:m.length[i]]
		k := keys[string(name)]
		if k == nil {
			k = new(merged)
			keys[string(name)] = k
		}
		k.count += uint64(m.count[i])
		k.sure += uint64(m.sure[i])
		k.floor += m.floor
	}
}

// Report tells of the n keys that are used most, or of fewer: a key that may have been sampled once only is not among them. Any goroutine may call it.
func (s *Set) Report(n int) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{Seconds: 1}
	var floor uint64
	keys := map[string]*merged{}
	for _, k := range s.sketches {
		sum := &s.summary
		k.summarize(sum)
		sum.addTo(keys)
		floor += sum.floor
		r.Uses += sum.samples * s.period
		r.Seconds = max(r.Seconds, sum.seconds)
	}
	for name, m := range keys {
		if m.sure < 2 {
			continue
		}
		m.count += floor - m.floor
		r.Keys = append(r.Keys, Key{[]byte(name), m.count * s.period, (m.count - m.sure) * s.period})
	}
	slices.SortFunc(r.Keys, func(a, b Key) int { return cmp.Or(cmp.Compare(b.Count, a.Count), bytes.Compare(a.Name, b.Name)) })
	r.Keys = slices.Clip(r.Keys[:min(n, len(r.Keys))])
	return r
}
