package batch

import (
	"cmp"
	"errors"
	"math/bits"
	"slices"
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
	input int   // bytes of input that waits, see inputLimit
	read  int   // bytes of one receive (epoll)
	share int   // the kernel is lent one in this many of the receive buffers (uring)

	window int // memory that parts of a send queue are sealed into, one after the other
}

// allowances are those that many clients, each within its bounds, leave room for others. The last one is about what memcached
// holds for such a client.
var allowances = [...]allowance{
	{0, replyLimit, inputLimit, epollBuffer, 1, 128 << 10},
	{8, 64 << 10, 16 << 10, 4 << 10, 4, 64 << 10},
	{4, 12 << 10, 2 << 10, bulkyInput, 16, 16 << 10},
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
	of    *clientMemory
	held  int64 // bytes
	told  int64 // what the server knows
	dying int64 // of held: of connections that were closed at the limit
}

// tellFrom: a channel reports a difference of at least this many bytes to the server within the batch, and smaller ones once a second.
const tellFrom = 64 << 10

func (a *account) add(n int) {
	a.held += int64(n)
}

func (a *account) mapping(n int) ([]byte, error) { return a.of.mapMemory(n) }

// tell reports a difference of at least this many bytes to the server.
func (a *account) tell(least int64) {
	if d := a.held - a.dying - a.told; d >= least || d <= -least {
		a.told += d
		a.of.tell(d)
	}
}

// What there may be no memory for.
var (
	errNoArena     = errors.New("no memory for replies")
	errNoSendQueue = errors.New("no memory for replies that their peer does not take")
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

// limitMemory is called in every iteration: it tells the server what was taken or given back in this one, learns how much connections
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
		if c == nil || c.life == lifeReleasing {
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
	for _, b := range ch.sendQueues.lent {
		if b != nil {
			add(b.conn, b.size)
		}
	}
	for _, s := range ch.inputHandles.lent {
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
	ch.inputBuffers.drop() // those that nobody uses count as held
	ch.memory.tell(1)
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
	ch.inputBuffers.drop() // theirs: or the next iteration would close others for them
	ch.memory.tell(1)
}

// killHolder is kill. The account knows at once that what a send queue borrowed comes back, which takes until the kernel is done with it.
func (ch *channel) killHolder(c *conn) {
	if b := ch.sendQueue(c); b != nil && b.dying == 0 {
		b.dying = b.size
		ch.memory.dying += int64(b.size)
	}
	ch.kill(c)
}

const (
	blockSize    = 4 << 10 // a page
	regionSize   = 1 << 20
	regionBlocks = regionSize / blockSize
)

// blockPool lends mapped memory for what outlives a batch: replies that are not taken, and input that waits. It grows by
// regions, and lends runs of their blocks. What is not needed any more goes back to the system in slices, see trim.
type blockPool struct {
	memory   *account
	regions  []*region
	resident int // bytes of blocks that were lent at some time and not given back to the system since
	lent     int // bytes
	most     int // of lent, since the last tick
	keep     int // as much stays resident: what was lent at a time within the last second
}

// region is a part of the pool's memory. Bit i of a set is its block i.
type region struct {
	mem     []byte
	lent    blockSet
	touched blockSet // resident
	free    int      // blocks that are not lent
}

// run is lent memory: a number of blocks that is a power of two, or, if region is nil, a mapping of its own.
type run struct {
	mem    []byte
	region *region
	first  int
}

type blockSet [regionBlocks / 64]uint64

// span calls f with each word of the set that has some of the n blocks from first on, and their bits in it. n is a power of
// two, and first a multiple of it.
func (s *blockSet) span(first, n int, f func(word *uint64, mask uint64)) {
	mask := ^uint64(0) >> (64 - min(n, 64)) << (first & 63)
	for i := first / 64; i <= (first+n-1)/64; i++ {
		f(&s[i], mask)
	}
}

func (s *blockSet) any(first, n int) (found bool) {
	s.span(first, n, func(w *uint64, mask uint64) { found = found || *w&mask != 0 })
	return found
}

func (s *blockSet) add(first, n int) (added int) {
	s.span(first, n, func(w *uint64, mask uint64) {
		added += bits.OnesCount64(mask &^ *w)
		*w |= mask
	})
	return added
}

func (s *blockSet) remove(first, n int) {
	s.span(first, n, func(w *uint64, mask uint64) { *w &^= mask })
}

// lend lends at least n bytes, of the oldest region that has them, so that younger ones run empty.
func (p *blockPool) lend(n int) (run, error) {
	if n > regionSize {
		return p.lendLarge(n)
	}
	blocks := 1 << bits.Len(uint((n-1)/blockSize))
	for _, r := range p.regions {
		if first := r.find(blocks); first >= 0 {
			return p.take(r, first, blocks), nil
		}
	}
	mem, err := p.memory.mapping(regionSize)
	if err != nil {
		return run{}, err
	}
	r := &region{mem: mem, free: regionBlocks}
	p.regions = append(p.regions, r)
	return p.take(r, 0, blocks), nil
}

// find returns the first of this many adjacent free blocks, -1 if there are none.
func (r *region) find(blocks int) int {
	if r.free < blocks {
		return -1
	}
	for first := 0; first < regionBlocks; first += blocks {
		if !r.lent.any(first, blocks) {
			return first
		}
	}
	return -1
}

func (p *blockPool) take(r *region, first, blocks int) run {
	r.lent.add(first, blocks)
	r.free -= blocks
	p.resident += r.touched.add(first, blocks) * blockSize
	p.count(blocks * blockSize)
	from, n := first*blockSize, blocks*blockSize
	return run{r.mem[from : from+n : from+n], r, first}
}

// lendLarge maps what is larger than a region: one client's input may fill all receive buffers.
func (p *blockPool) lendLarge(n int) (run, error) {
	mem, err := p.memory.mapping(n)
	if err == nil {
		p.count(len(mem))
	}
	return run{mem: mem}, err
}

// give takes back what was lent.
func (p *blockPool) give(lent run) {
	p.count(-len(lent.mem))
	if lent.region == nil {
		_ = ring.Unmap(lent.mem)
		return
	}
	blocks := len(lent.mem) / blockSize
	lent.region.lent.remove(lent.first, blocks)
	lent.region.free += blocks
}

func (p *blockPool) count(n int) {
	p.lent += n
	p.most = max(p.most, p.lent)
	p.memory.add(n)
}

// tick decides, once a second, how much stays resident.
func (p *blockPool) tick() { p.keep, p.most = p.most, p.lent }

// trim gives memory that is not lent, the youngest first, back to the system, a region at most, and reports that there is more
// to give.
func (p *blockPool) trim() (more bool) {
	for i := len(p.regions) - 1; i >= 0; i-- {
		r := p.regions[i]
		excess := p.resident > max(p.keep, p.lent)
		switch {
		case r.free == regionBlocks && (excess || r.touched == blockSet{}):
			p.resident -= r.touched.count() * blockSize
			_ = ring.Unmap(r.mem)
			copy(p.regions[i:], p.regions[i+1:])
			p.regions[len(p.regions)-1] = nil
			p.regions = p.regions[:len(p.regions)-1]
			return true
		case excess && r.idle() > 0:
			p.discard(r)
			return true
		}
	}
	return false
}

// idle is how many blocks are resident and not lent.
func (r *region) idle() (n int) {
	for i := range r.touched {
		n += bits.OnesCount64(r.touched[i] &^ r.lent[i])
	}
	return n
}

func (s *blockSet) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// discard gives the idle blocks of r back to the system, those that are side by side at a time.
func (p *blockPool) discard(r *region) {
	idle := func(i int) bool { return (r.touched[i/64]&^r.lent[i/64])>>(i%64)&1 != 0 }
	for from := 0; from < regionBlocks; from++ {
		to := from
		for to < regionBlocks && idle(to) {
			to++
		}
		if to > from {
			_ = ring.Discard(r.mem[from*blockSize : to*blockSize]) // locked memory (-k) stays
			from = to
		}
	}
	p.resident -= r.idle() * blockSize
	for i := range r.touched {
		r.touched[i] &= r.lent[i]
	}
}

// close frees everything. Nothing may be lent.
func (p *blockPool) close() {
	for _, r := range p.regions {
		_ = ring.Unmap(r.mem)
	}
	p.regions, p.resident = nil, 0
}
