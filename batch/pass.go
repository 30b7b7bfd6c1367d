package batch

import (
	"sync"

	"golang.org/x/sys/unix"
)

// The kernel spreads new connections over the channels by a hash of their addresses: many evenly enough, but eight over four channels
// leave one without any in four cases of ten. So a channel that accepts a connection passes it on to the one that has the fewest,
// unless it has about as few. A connection never moves later.

const (
	// passSlack: a channel may have more connections than another by this part of the other's.
	passSlack = 16
	// passChurn: when so many connections have ended lately (counted half at each tick), there are enough for the hash to spread them,
	// or they are too short to be worth the wake-up.
	passChurn = 1024
)

// arrival is a connection that was accepted and is not served yet.
type arrival struct {
	fd    int32
	local bool // came by the unix socket
	label uint8
}

// inbox holds the connections that others have passed on to a channel. Their descriptors belong to it. Any channel may put some in; its lock
// is held for moments.
type inbox struct {
	mu     sync.Mutex
	in     []arrival
	coming int  // direct descriptors that others are sending to the channel's ring
	done   bool // nothing is taken any more
}

// put adds a connection, unless nothing is taken any more. first says that there was none before: the channel has to be woken.
func (b *inbox) put(a arrival) (ok, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return false, false
	}
	b.in = append(b.in, a)
	return true, len(b.in) == 1
}

// expect counts a direct descriptor that is about to be sent, unless nothing is taken any more.
func (b *inbox) expect() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		b.coming++
	}
	return !b.done
}

// came ends what expect began.
func (b *inbox) came() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming--
}

// take returns what is in.
func (b *inbox) take() (in []arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in, b.in = b.in, nil
	return in
}

// shut reports that nothing is in, and nothing will be.
func (b *inbox) shut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = len(b.in) == 0 && b.coming == 0
	return b.done
}

// passOn gives a connection that the server has counted in to the channel that has the fewest. It reports whether it did.
func (ch *channel) passOn(a arrival) bool {
	s := ch.server
	mine := ch.load.Load()
	// Who has no more than the average keeps it: most often the others need not be looked at.
	if s.config.Stay || s.config.Steer || ch.stopping || ch.left > passChurn || int64(mine)*int64(len(s.channels)) < s.conns.Load() {
		return false
	}
	to := ch.claim(mine)
	if to == nil {
		return false
	}
	if !ch.engine.pass(a, to) {
		to.load.Add(-1)
		return false
	}
	ch.stats.passed.Add(1)
	return true
}

// give puts a into the inbox, unless nothing is taken any more. Any channel may call it.
func (ch *channel) give(a arrival) bool {
	ok, first := ch.inbox.put(a)
	if first {
		ch.wake()
	}
	return ok
}

// claim finds the channel with the fewest connections, and counts one in there. It returns nil if this one, which has mine, has about as few.
func (ch *channel) claim(mine int32) *channel {
	for {
		to, least := ch, mine
		for _, o := range ch.server.channels {
			if n := o.load.Load(); n < least {
				to, least = o, n
			}
		}
		if mine-least <= least/passSlack {
			return nil
		}
		if to.load.CompareAndSwap(least, least+1) {
			return to
		}
	}
}

// openPassed begins to serve what others have passed on.
func (ch *channel) openPassed() {
	for _, a := range ch.inbox.take() {
		ch.openArrival(a)
	}
}

// openArrival begins to serve a connection that is counted in.
func (ch *channel) openArrival(a arrival) {
	c := ch.newConn(a)
	ch.open(c)
}

// dropPassed closes what a channel that has ended was passed on. No channel may run any more.
func (ch *channel) dropPassed() {
	for _, a := range ch.inbox.take() {
		_ = unix.Close(int(a.fd))
		ch.server.depart()
	}
}
