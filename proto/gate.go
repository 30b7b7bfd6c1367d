package proto

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// dumpsMost is how many dumps may go on at a time. To who wants one more the server is busy.
	dumpsMost = 4
	// reportsMost is how many other long replies may, each of which keeps what it shows: up to some MiB. Who wants one more waits.
	reportsMost = 4
	// walkPatience is how many seconds a walk may be held up by a client who does not read, while others wait.
	walkPatience = 10
)

// gate lets so many walks go on at a time, in the order in which they came.
type gate struct {
	most int

	mu       sync.Mutex
	queue    []*walk // the first most of them go on
	refused  atomic.Uint64
	expelled atomic.Uint64
}

// pass is a walk's place at its gate.
type pass struct {
	gate  *gate
	state atomic.Uint32 // one of the next
	moved atomic.Uint32 // second of the store's in which the walk last got on
}

const (
	passWaits    = iota
	passGoes     // the walk may go on
	passExpelled // it was held up for too long, and has to end
)

// enter gives k a place, at the end. Where nobody waits, it says no if that would mean to.
func (g *gate) enter(k *walk, wait bool, now uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) >= g.most {
		g.expel(now)
	}
	if len(g.queue) >= g.most && !wait {
		g.refused.Add(1)
		return false
	}
	k.pass.gate = g
	g.queue = append(g.queue, k)
	g.admit(now)
	return true
}

// leave gives the place of k up.
func (g *gate) leave(k *walk, now uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, k); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
		g.admit(now)
	}
}

// look takes the places of those who are held up, for the first who waits.
func (g *gate) look(k *walk, now uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) > g.most && g.queue[g.most] == k {
		g.expel(now)
		g.admit(now)
	}
}

// admit lets the first ones go on. The gate is locked, here and below.
func (g *gate) admit(now uint32) {
	for _, k := range g.queue[:min(len(g.queue), g.most)] {
		if k.pass.state.CompareAndSwap(passWaits, passGoes) {
			k.pass.moved.Store(now)
		}
	}
}

// expel ends those who have not got on for too long.
func (g *gate) expel(now uint32) {
	for i := min(len(g.queue), g.most) - 1; i >= 0; i-- {
		k := g.queue[i]
		if now-min(now, k.pass.moved.Load()) < walkPatience {
			continue
		}
		g.queue = slices.Delete(g.queue, i, i+1)
		g.expelled.Add(1)
		k.pass.state.Store(passExpelled)
		k.owner.expelled.Store(true)
		if e := k.owner.srv.currentEngine(); e != nil {
			e.Wake(k.owner.id)
		}
	}
}

// running is how many go on.
func (g *gate) running() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return min(len(g.queue), g.most)
}

// waiting is how many do not yet.
func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(len(g.queue)-g.most, 0)
}
