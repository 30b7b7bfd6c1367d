package batch

import (
	"cmp"
	"errors"
	"slices"
)

// What there may be no memory for.
var (
	errNoArena   = errors.New("no memory for replies")
	errNoBacklog = errors.New("no memory for replies that their peer does not take")
)

// lacks closes a connection for which there is no memory. The others go on.
func (ch *channel) lacks(c *conn, err error) {
	ch.server.lacks(err)
	ch.kill(c)
}

// lacks counts and tells that a connection is closed for want of memory.
func (s *Server) lacks(err error) {
	s.memory.lacking.Add(1)
	s.complain("connections are closed", err)
}

// limitMemory is called in every turn: it tells the server what was taken or given back in this one, learns how much connections
// may hold in the next, and closes some if they hold too much in all.
func (ch *channel) limitMemory() {
	m := ch.memory.of
	ch.memory.tell(tellFrom)
	if a := m.allowance(); a != ch.allowed {
		ch.allowed = a
		ch.out.limit, ch.sent.limit = a.reply, a.reply
		ch.engine.allow(a)
	}
	if m.limit > 0 && m.held.Load() > m.limit {
		ch.closeLargest()
	}
}

// holding is what a connection holds.
type holding struct {
	conn  token
	bytes int
}

// holdings lists what connections hold that are not ending, the largest first.
func (ch *channel) holdings() (all []holding) {
	at := map[uint32]int{} // by slot
	add := func(t token, bytes int) {
		c := ch.conns.find(t.slot(), t.gen())
		if c == nil || c.is(stateReleasing) {
			return
		}
		i, found := at[t.slot()]
		if !found {
			i = len(all)
			at[t.slot()] = i
			all = append(all, holding{conn: t})
		}
		all[i].bytes += bytes
	}
	for _, b := range ch.backlogs.lent {
		if b != nil {
			add(b.conn, b.size)
		}
	}
	for _, s := range ch.stashLoans.lent {
		if s != nil {
			add(s.conn, len(s.lent.mem))
		}
	}
	slices.SortFunc(all, func(a, b holding) int { return cmp.Compare(b.bytes, a.bytes) })
	return all
}

// closeLargest closes connections of this channel, those that hold the most, until its part of what is held too much is free.
// Other channels do likewise with theirs.
func (ch *channel) closeLargest() {
	m := ch.memory.of
	excess, all := m.excess(), m.held.Load()
	mine := ch.memory.held - ch.memory.dying
	if excess == 0 || mine <= 0 {
		return
	}
	share := int(float64(excess) * min(1, float64(mine)/float64(all)))
	closed, freed := 0, 0
	for _, h := range ch.holdings() {
		// One that holds much more than is to be freed here is left alone: others' hold what is too much.
		if freed >= share || h.bytes/2 > share-freed {
			break
		}
		c := ch.conns.find(h.conn.slot(), h.conn.gen())
		ch.config.log(2, "<%d closed: it made the server hold %d bytes", ch.number(c), h.bytes)
		ch.killHolder(c)
		closed++
		freed += h.bytes
	}
	if closed > 0 {
		m.closed.Add(uint64(closed))
		ch.config.log(1, "%d connections closed that made the server hold %d bytes: clients may make it hold %d in all", closed, freed, m.limit)
	}
	ch.memory.tell(1)
}

// killHolder is kill. The account knows at once that what a backlog borrowed comes back, which takes until the kernel is done with it.
func (ch *channel) killHolder(c *conn) {
	if b := ch.backlog(c); b != nil && b.dying == 0 {
		b.dying = b.size
		ch.memory.dying += int64(b.size)
	}
	ch.kill(c)
}
