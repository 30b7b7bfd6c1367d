package admin

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// dumpsMost is how many dumps may run at a time. One more is refused as busy.
	dumpsMost = 4
	// reportsMost is how many other long replies may run, each of which keeps what it shows: up to some MiB. One more waits.
	reportsMost = 4
	// expelAfter is how many seconds a long reply may make no progress, because its client does not read, while others wait.
	expelAfter = 10
)

// admission limits how many long replies run at a time, in the order in which they came.
type admission struct {
	most int

	mu       sync.Mutex
	queue    []*longReply // the first most of them run
	refused  atomic.Uint64
	expelled atomic.Uint64
}

// place is a long reply's place in the queue of an admission.
type place struct {
	admission *admission
	state     atomic.Uint32 // one of the next
	moved     atomic.Uint32 // second of the store's in which the reply last made progress
}

const (
	placeWaits    = iota
	placeRuns     // the reply may go on
	placeExpelled // the reply made no progress for too long, and has to end
)

// enter gives k a place at the end of the queue. It refuses k if k would have to wait, unless wait.
func (a *admission) enter(k *longReply, wait bool, now uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) >= a.most {
		a.expel(now)
	}
	if len(a.queue) >= a.most && !wait {
		a.refused.Add(1)
		return false
	}
	k.place.admission = a
	a.queue = append(a.queue, k)
	a.admit(now)
	return true
}

// leave gives the place of k up.
func (a *admission) leave(k *longReply, now uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.queue, k); i >= 0 {
		a.queue = slices.Delete(a.queue, i, i+1)
		a.admit(now)
	}
}

// look expels those that make no progress, if k is the first that waits.
func (a *admission) look(k *longReply, now uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) > a.most && a.queue[a.most] == k {
		a.expel(now)
		a.admit(now)
	}
}

// admit lets the first ones run. a.mu is locked, here and below.
func (a *admission) admit(now uint32) {
	for _, k := range a.queue[:min(len(a.queue), a.most)] {
		if k.place.state.CompareAndSwap(placeWaits, placeRuns) {
			k.place.moved.Store(now)
		}
	}
}

// expel ends those that have made no progress for too long, and wakes their workers, which free what they keep.
func (a *admission) expel(now uint32) {
	for i := min(len(a.queue), a.most) - 1; i >= 0; i-- {
		k := a.queue[i]
		if now-min(now, k.place.moved.Load()) < expelAfter {
			continue
		}
		a.queue = slices.Delete(a.queue, i, i+1)
		a.expelled.Add(1)
		k.place.state.Store(placeExpelled)
		k.owner.expelled.Store(true)
		k.owner.wake()
	}
}

// running is how many run.
func (a *admission) running() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return min(len(a.queue), a.most)
}

// waiting is how many do not run yet.
func (a *admission) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(len(a.queue)-a.most, 0)
}
