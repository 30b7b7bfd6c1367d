package store

import (
	"errors"
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

const (
	bucketSize  = 64 // one cache line: 12 tags + 4 spill + 12 * 4 links
	bucketSlots = 12
	// bucketLoad is how many items there are for each bucket before one more is made. Linear hashing has buckets of two kinds,
	// split and not yet split, the latter with twice the items. With 9 on average an item costs 8.0 to 8.7 bytes of index, overflow
	// included, and 7 % of the items lie behind the first line; with 8 it is 8.5 to 9.2 bytes and 4 %, with 10 7.7 to 8.3 and 10 %.
	bucketLoad = 9

	stripesLowest  = 256 // enough that two cores seldom meet
	stripesPerCore = 16
)

// bucket has the links of up to twelve items of a stripe, the first slots first; more go to spill buckets, all but the last of
// which are full.
type bucket struct {
	tags  [bucketSlots]uint8 // of the items' hashes, 0 for a free slot
	spill uint32             // number of the next bucket of the chain in the spill area, 0 for none
	links [bucketSlots]uint32
}

var _ = [1]struct{}{}[unsafe.Sizeof(bucket{})-bucketSize]

// stripe is a part of the hash space with its own lock, of rankStripe. Bucket j of stripe s is at j*stripes+s, so that the index
// grows at one end.
type stripe struct {
	mu      rankedMutex
	version atomic.Uint32 // odd while what is found through the index changes; see TryGet
	number  uint32
	mask    atomic.Uint32 // all buckets up to it exist; a power of two less one
	split   atomic.Uint32 // how many of them are split already: their other halves follow behind mask
	cas     uint64        // the last CAS that was given out, and the last of the block
	casEnd  uint64

	items uint64 // linked
	total uint64 // linked ever, or since ResetStats
	bytes uint64 // of the linked items

	flushed flushed // some of them

	second uint32 // in which the last block of CAS numbers was taken
	taken  uint32 // blocks in that second

	_ [128 - 96]byte // the prefetcher brings pairs of lines
}

// makeStripes makes a power of two of stripes, from the number of cores.
func (s *Store) makeStripes() {
	stripes := max(stripesLowest, stripesPerCore*runtime.GOMAXPROCS(0))
	s.stripeBits = uint(bits.Len(uint(stripes - 1)))
	stripes = 1 << s.stripeBits
	s.stripeMask = uint64(stripes - 1)
	s.stripes = make([]stripe, stripes)
	for i := range s.stripes {
		s.stripes[i].number = uint32(i)
	}
}

// makeIndex makes the index of the memory that is mapped for it: for the most items that the store can hold. If hashes are unevenly spread a stripe
// may reach the end of its buckets; from there on its chains get longer, up to chainMax.
func (s *Store) makeIndex() {
	now := s.indexRoom(s.config.pages())
	s.buckets, s.spill.base, s.spill.next = s.indexMemory.Base(), s.spillMemory.Base(), 1
	s.maxBuckets.Store(now.buckets)
	s.spill.size = now.spill
	s.linkBlocks.base, s.linkBlocks.size, s.linkBlocks.next = s.queueMemory.Base(), now.blocks, 1
}

// indexRoom is how many buckets the index may need.
type indexRoom struct {
	buckets uint32 // of each stripe
	spill   uint32 // in the overflow
	blocks  uint32 // of the probation queues
}

// indexRoom is the room for the most items that the pages can hold.
func (s *Store) indexRoom(pages int) indexRoom {
	stripes := int64(len(s.stripes))
	items := int64(pages) * int64(s.classes[1].perPage)
	buckets := items/stripes/bucketLoad*5/4 + 16
	// Every spill bucket but the last of a chain is full, and there is a chain for 13 items at most: that many suffice, with room
	// for those that splitBucket takes before it gives others back.
	return indexRoom{
		buckets: uint32(buckets),
		spill:   uint32(items/bucketSlots + min(items, buckets*stripes) + 2),
		blocks:  uint32(items/probationMost/(blockLinks-1)) + uint32(min(items/2048, classesMax)) + 1,
	}
}

// home is the size of the stripes' own buckets in bytes.
func (r indexRoom) home(s *Store) int64 { return int64(r.buckets) * int64(len(s.stripes)) * bucketSize }

// overflow is that of the others.
func (r indexRoom) overflow() int64 { return int64(r.spill) * bucketSize }

// ghosts is the size of what is remembered beside the buckets.
func (r indexRoom) ghosts(s *Store) int64 {
	return int64(r.buckets) * int64(len(s.stripes)) * ghostSize
}

// queues is that of the probation queues.
func (r indexRoom) queues() int64 { return int64(r.blocks) * blockSize }

// bucketBytes is how much of the stripes' own buckets, from the beginning, all stripes have.
func (s *Store) bucketBytes() int64 {
	least := s.stripes[0].buckets()
	for i := range s.stripes {
		least = min(least, s.stripes[i].buckets())
	}
	return int64(least) * int64(len(s.stripes)) * bucketSize
}

// growIndex makes room for the items of more pages. The buckets that exist stay.
func (s *Store) growIndex(pages int) error {
	room := s.indexRoom(pages)
	if err := errors.Join(s.indexMemory.Grow(room.home(s)), s.spillMemory.Grow(room.overflow()),
		s.ghostMemory.Grow(room.ghosts(s)), s.queueMemory.Grow(room.queues())); err != nil {
		return err
	}
	s.spill.enlarge(room.spill)
	s.linkBlocks.enlarge(room.blocks)
	if room.buckets > s.maxBuckets.Load() {
		s.maxBuckets.Store(room.buckets)
	}
	return nil
}

func (st *stripe) lock()         { st.mu.lock(rankStripe) }
func (st *stripe) tryLock() bool { return st.mu.tryLock(rankStripe) }

func (st *stripe) unlock() {
	if v := st.version.Load(); v&1 != 0 {
		st.version.Store(v + 1)
	}
	st.mu.unlock()
}

// beginChange says that something that TryGet reads changes from now on until unlock.
func (st *stripe) beginChange() {
	if v := st.version.Load(); v&1 == 0 {
		st.version.Store(v + 1)
	}
}

func (s *Store) stripeOf(hash uint64) *stripe { return &s.stripes[hash&s.stripeMask] }

// tagOf is the part of the hash that is in the buckets: not one of the bits that choose the bucket, and never 0.
func tagOf(hash uint64) uint8 { return uint8(max(hash>>56, 1)) }

// home is the bucket that an item with the hash belongs to.
func (s *Store) home(st *stripe, hash uint64) *bucket {
	return s.bucket(st, st.bucketNumber(uint32(hash>>s.stripeBits)))
}

// buckets is how many of them the stripe has.
func (st *stripe) buckets() uint32 { return st.mask.Load() + 1 + st.split.Load() }

// bucketNumber is the number of the bucket for a hash, of which the stripe's bits are gone.
func (st *stripe) bucketNumber(hash uint32) uint32 {
	mask := st.mask.Load()
	if j := hash & mask; j >= st.split.Load() {
		return j
	}
	return hash & (mask<<1 | 1)
}

func (s *Store) bucket(st *stripe, j uint32) *bucket {
	return (*bucket)(unsafe.Add(s.buckets, (uintptr(j)<<(s.stripeBits&63)+uintptr(st.number))*bucketSize))
}

// matches are the slots whose tag is tag, one bit for each.
func (b *bucket) matches(tag uint8) uint32 {
	const ones, lows, gather uint64 = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f, 0x0102040810204080
	const beyond uint64 = 0xffffffff << 32 // four bytes that are no slots, and never 0
	first := *(*uint64)(unsafe.Pointer(&b.tags[0])) ^ uint64(tag)*ones
	last := uint64(*(*uint32)(unsafe.Pointer(&b.tags[8]))) ^ uint64(tag)*(ones>>32) | beyond
	// The top bit of each byte that is 0 now, moved to the bottom of the byte, and eight of them gathered in the highest byte.
	first = ^((first&lows + lows) | first | lows) >> 7
	last = ^((last&lows + lows) | last | lows) >> 7
	return uint32(first*gather>>56) | uint32(last*gather>>56)<<8
}

// firstMatch is the first slot whose tag is tag, bucketSlots or above if there is none. That is less work than to find all.
func (b *bucket) firstMatch(tag uint8) int {
	const ones, highs uint64 = 0x0101010101010101, 0x8080808080808080
	// The top bit of each byte that was 0, and perhaps of some behind the first.
	first := *(*uint64)(unsafe.Pointer(&b.tags[0])) ^ uint64(tag)*ones
	if first = (first - ones) & ^first & highs; first != 0 {
		return bits.TrailingZeros64(first) >> 3
	}
	last := *(*uint32)(unsafe.Pointer(&b.tags[8])) ^ uint32(tag)*uint32(ones>>32)
	return 8 + bits.TrailingZeros32((last-uint32(ones>>32)) & ^last & uint32(highs>>32))>>3
}

// find looks for the item with the key. The stripe must be locked, here and below.
func (s *Store) find(st *stripe, hash uint64, key []byte) (*bucket, int, *header) {
	tag := tagOf(hash)
	for b := s.home(st, hash); b != nil; b = s.spill.after(b) {
		for m := b.matches(tag); m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			if h := s.at(b.links[i]); string(h.key()) == string(key) {
				return b, i, h
			}
		}
	}
	return nil, 0, nil
}

// locate looks for the slot with the link of an item with the hash.
func (s *Store) locate(st *stripe, hash uint64, link uint32) (*bucket, int) {
	tag := tagOf(hash)
	for b := s.home(st, hash); b != nil; b = s.spill.after(b) {
		for m := b.matches(tag); m != 0; m &= m - 1 {
			if i := bits.TrailingZeros32(m); b.links[i] == link {
				return b, i
			}
		}
	}
	return nil, 0
}

// insert adds a link that is not there yet. It may split a bucket, so that slots known before have moved, and evict an item of its chain.
func (s *Store) insert(st *stripe, hash uint64, link uint32) {
	length := s.add(s.home(st, hash), tagOf(hash), link)
	st.items++
	if length > chainMax {
		s.evictFromChain(st, hash, link)
	}
	if n := st.buckets(); st.items > uint64(n)*bucketLoad && n < s.maxBuckets.Load() {
		s.splitBucket(st)
	}
}

// add puts a link into the chain of buckets that begins with b, and says how many there are then.
func (s *Store) add(b *bucket, tag uint8, link uint32) (length int) {
	for length = 1; b.spill != 0; length++ {
		b = s.spill.at(b.spill)
	}
	i := b.count()
	if i == bucketSlots {
		b.spill = s.spill.get()
		b, i = s.spill.at(b.spill), 0
		length++
	}
	b.tags[i], b.links[i] = tag, link
	return length
}

// remove takes slot i of b out of the index; the last slot of the chain takes its place.
func (s *Store) remove(st *stripe, hash uint64, b *bucket, i int) {
	var before *bucket
	last := b
	if b.spill == 0 {
		// Only when the last bucket of a chain loses its last slot is the one before it needed.
		if b.tags[1] == 0 {
			for p := s.home(st, hash); p != b; p = s.spill.at(p.spill) {
				before = p
			}
		}
	}
	for last.spill != 0 {
		before, last = last, s.spill.at(last.spill)
	}
	n := last.count() - 1
	b.tags[i], b.links[i] = last.tags[n], last.links[n]
	last.tags[n], last.links[n] = 0, 0
	if n == 0 && before != nil {
		s.spill.put(before.spill)
		before.spill = 0
	}
	st.items--
}

// count is the number of slots in use.
func (b *bucket) count() int { return bits.TrailingZeros32(b.matches(0) | 1<<bucketSlots) }

// splitBucket divides the next bucket in turn into two, by one more bit of the hash. The bucket behind mask is there already, and
// empty.
func (s *Store) splitBucket(st *stripe) {
	split, bit := st.split.Load(), st.mask.Load()+1
	from, to := s.bucket(st, split), s.bucket(st, split+bit)
	out, n := from, 0 // where the next link that stays goes
	for in := from; in != nil; in = s.spill.after(in) {
		for i := range in.count() {
			tag, link := in.tags[i], in.links[i]
			in.tags[i], in.links[i] = 0, 0
			if uint32(s.Hash(s.at(link).key())>>s.stripeBits)&bit != 0 {
				s.add(to, tag, link)
				continue
			}
			if n == bucketSlots {
				out, n = s.spill.at(out.spill), 0
			}
			out.tags[n], out.links[n] = tag, link
			n++
		}
	}
	s.spill.cut(out)
	if split++; split == bit {
		split = 0
		st.mask.Store(bit<<1 - 1)
	}
	st.split.Store(split)
}

// ItemsMax is how many items a full store holds at the most: the smallest ones.
func (c Config) ItemsMax() int64 {
	s := &Store{config: c, shift: c.shift()}
	s.makeClasses()
	return int64(c.pages()) * int64(s.classes[1].perPage)
}

// spillPool has the buckets that hold what does not fit into a bucket of its own stripe. Its lock has rankPool; a bucket
// in use is guarded by the stripe that uses it.
type spillPool struct {
	base unsafe.Pointer
	_    [64]byte

	mu   rankedMutex
	size uint32 // buckets that there are
	next uint32 // the first that was never used
	free uint32 // number of the first free one among those used; its spill field leads to the next
	used uint32
}

func (p *spillPool) at(number uint32) *bucket {
	return (*bucket)(unsafe.Add(p.base, uintptr(number)*bucketSize))
}

// after is the bucket behind b in its chain, nil if b is the last.
func (p *spillPool) after(b *bucket) *bucket {
	if b.spill == 0 {
		return nil
	}
	return p.at(b.spill)
}

// get takes an empty bucket out of the pool. There is always one: makeIndex counts the most that can be in use.
func (p *spillPool) get() uint32 {
	p.mu.lock(rankPool)
	number := p.free
	if number != 0 {
		p.free = p.at(number).spill
		p.at(number).spill = 0
	} else {
		number = p.next
		if number >= p.size {
			panic("store: more overflow buckets in use than there can be")
		}
		p.next++
	}
	p.used++
	p.mu.unlock()
	return number
}

// enlarge makes it size buckets, if it has fewer.
func (p *spillPool) enlarge(size uint32) {
	p.mu.lock(rankPool)
	p.size = max(p.size, size)
	p.mu.unlock()
}

// put gives an empty bucket back.
func (p *spillPool) put(number uint32) {
	p.mu.lock(rankPool)
	b := p.at(number)
	check(b.tags[0] == 0 && b.spill == 0, "overflow bucket freed with something in it")
	b.spill = p.free
	p.free = number
	p.used--
	p.mu.unlock()
}

// cut gives back all buckets behind b, which are empty.
func (p *spillPool) cut(b *bucket) {
	for number := b.spill; number != 0; {
		next := p.at(number).spill
		p.at(number).spill = 0
		p.put(number)
		number = next
	}
	b.spill = 0
}

// touched is how many buckets have been in use at some time.
func (p *spillPool) touched() uint32 {
	p.mu.lock(rankPool)
	n := p.next
	p.mu.unlock()
	return n
}

// chainMax is how many buckets a chain may have. It bounds what a lookup, a split and a step of a walk cost to chainMax*bucketSlots = 72 links,
// whoever chose the keys. A bucket that is about to be split has 18 items on average; more than 72 come together by chance in one of
// 10^22 buckets.
const chainMax = 6

// evictFromChain evicts one item of a chain that is one bucket too long since link added is in it; added stays. Dead items go first, then
// those with the lowest recency count, and among these the one that was added last: a client that fills a bucket on purpose evicts its own
// items rather than those that others use. The stripe must be locked, and changing.
func (s *Store) evictFromChain(st *stripe, hash uint64, added uint32) {
	const dead, unknown = 0, recencyMax + 2
	var from *bucket
	slot, least := 0, uint32(unknown)
	for b := s.home(st, hash); b != nil; b = s.spill.after(b) {
		for i := range b.count() {
			if b.links[i] == added {
				continue
			}
			h, worth := s.at(b.links[i]), uint32(dead)
			if !s.dead(h) {
				worth = h.state.Load()&recencyMax + 1
			}
			if worth <= least {
				from, slot, least = b, i, worth
			}
		}
	}
	h := s.at(from.links[slot])
	c := &s.classes[h.class()]
	c.lock()
	s.countEvicted(c, h, h.state.Load())
	c.counters.crowded++
	c.unlock()
	s.unlinkSlot(st, hash, from, slot, h)
	s.release(h, stateLinked)
}

// Hash is the hash of a key of at most KeyMax bytes, for Lock and TryGet. A client cannot choose keys that share a bucket: see package keyhash.
func (s *Store) Hash(key []byte) uint64 { return s.secrets.Hash(key) }
