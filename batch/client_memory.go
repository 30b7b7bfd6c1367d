package batch

import (
	"sync/atomic"

	"ringcached/ring"
)

// clientMemory is what the clients of all channels make the server hold: replies that they do not take, input that waits, and
// the arenas in which replies are written. What replies refer to is not in it: that is the Handler's.
type clientMemory struct {
	limit    int64         // 0: none
	held     atomic.Int64  // bytes, as far as the channels have told
	pressure atomic.Uint32 // index into allowances

	closed, lacking atomic.Uint64 // connections that were closed at the limit, and for lack of memory

	mapMemory func(bytes int) ([]byte, error)
}

// allowance is what a connection may hold while the server holds much or little.
type allowance struct {
	from  int64 // in force when the server holds limit/from; 0: always
	reply int   // bytes of replies in a batch, see replyLimit
	input int   // bytes of input that waits, see stashLimit
	read  int   // bytes of one receive (epoll)
	part  int   // one in so many of the receive buffers is lent to the kernel (uring)
}

// allowances are those that many clients, each within its bounds, leave room for others. The last one is about what memcached
// holds for such a client.
var allowances = [...]allowance{
	{0, replyLimit, stashLimit, epollBuffer, 1},
	{8, 64 << 10, 16 << 10, 4 << 10, 4},
	{4, 12 << 10, 2 << 10, bulkyInput, 16},
}

// spareMemory is as much address space, in bytes, as clients leave to the rest of the process.
const spareMemory = 16 << 20

// MapForClients maps memory for connections as ring.Map does, and fails while there is still enough for the rest of the process.
func MapForClients(bytes int) ([]byte, error) { return ring.MapSparing(bytes, spareMemory) }

func newClientMemory(limit int64, mapMemory func(int) ([]byte, error)) *clientMemory {
	if mapMemory == nil {
		mapMemory = MapForClients
	}
	return &clientMemory{limit: limit, mapMemory: mapMemory}
}

// allowance is the one in force.
func (m *clientMemory) allowance() *allowance { return &allowances[m.pressure.Load()] }

// tell counts n bytes more, or less.
func (m *clientMemory) tell(n int64) {
	held := m.held.Add(n)
	level := 0
	for i, a := range allowances {
		if m.limit > 0 && a.from > 0 && held >= m.limit/a.from {
			level = i
		}
	}
	if uint32(level) != m.pressure.Load() {
		m.pressure.Store(uint32(level))
	}
}

// excess is by how much the limit is exceeded, and a little more, so that it is not exceeded again at once.
func (m *clientMemory) excess() int64 {
	held := m.held.Load()
	if m.limit == 0 || held <= m.limit {
		return 0
	}
	return held - m.limit + m.limit/16
}

// arena is how many bytes of replies a channel may write in a batch. All channels have two arenas each, which together are to
// be a fourth of the limit, but large enough to work with.
func (m *clientMemory) arena(channels int) int {
	if m.limit == 0 {
		return batchLimit
	}
	return int(min(max(m.limit/int64(8*channels), 2*arenaChunk), batchLimit))
}

// account is one channel's part of it, which its thread alone changes.
type account struct {
	of     *clientMemory
	held   int64 // bytes
	told   int64 // what the server knows
	dying  int64 // of held: of connections that were closed at the limit
}

// tellFrom: the server is told of a difference of so many bytes within a batch, and of smaller ones once a second.
const tellFrom = 64 << 10

func (a *account) add(n int) {
	a.held += int64(n)
}

func (a *account) mapping(n int) ([]byte, error) { return a.of.mapMemory(n) }

// tell tells the server of a difference of at least so many bytes.
func (a *account) tell(least int64) {
	if d := a.held - a.dying - a.told; d >= least || d <= -least {
		a.told += d
		a.of.tell(d)
	}
}
