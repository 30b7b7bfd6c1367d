package batch

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// limitMemory ends those connections that hold the most when all hold too much, of several such those that asked for something last the
// longest ago, and neither the one that is about to send nor one whose peer has taken all that was sent. No shard may be locked.
func (e *netEngine) limitMemory(sending *netConn) {
	m := e.server.memory
	held := m.held.Load()
	if m.excess() == 0 || held < e.limitFrom.Load() || !e.closing.TryLock() {
		return
	}
	defer e.closing.Unlock()
	type holder struct {
		c     *netConn
		bytes int64
		idle  uint32
	}
	var all []holder
	used := int64(0) // the others' is in the pool of Outputs
	second := e.second.Load()
	e.each(func(c *netConn) {
		if n := c.arena.Load() + int64(len(c.buf)-netBuffer); n > 0 && !c.aborted.Load() {
			used += n
			if c != sending && c.keepsWaiting() {
				all = append(all, holder{c, n, second - c.active})
			}
		}
	})
	excess := int64(0)
	if used > m.limit {
		excess = used - m.limit + m.limit/16
	}
	slices.SortFunc(all, func(a, b holder) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(b.idle, a.idle))
	})
	closed := uint64(0)
	for _, h := range all {
		if excess <= 0 {
			break
		}
		h.c.abort()
		excess -= h.bytes
		closed++
	}
	e.limitFrom.Store(0)
	if excess <= 0 {
		e.limitFrom.Store(held + m.limit/16) // there is no use in looking again before
	}
	if closed > 0 {
		m.closed.Add(closed)
		e.config.log(1, "%d connections closed: clients may make the server hold %d bytes in all", closed, m.limit)
	}
}

// keepsWaiting reports that c's peer has not taken all that was sent to it, or does not send all of what c's buffer has grown for.
func (c *netConn) keepsWaiting() bool {
	n, err := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	return err != nil || n > 0 || len(c.buf) > netBuffer
}
