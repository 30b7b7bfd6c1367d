package ring

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// MaxBuffers is the most buffers that one BufRing can hold.
const MaxBuffers = 1 << 15

// bufEntry is struct io_uring_buf. The tail of the ring lies over the last two
// bytes of entry 0.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	tail uint16
}

// BufRing is a ring of buffers that the kernel takes from when a receive has data.
// A buffer belongs to the kernel until a completion names it, then to the caller
// until Recycle. It owns its memory until Close.
//
// The kernel takes the buffers in turn, so that all that it has are soon touched,
// however few are ever needed at a time. So it is only lent some: more as they are
// used up, fewer after a quiet time.
type BufRing struct {
	ring    *Ring
	group   uint16
	size    int
	count   int
	least   int    // lent at least
	most    int    // lent at most
	lent    int    // buffers with an id below it are in use
	taken   int    // since the last Publish
	peak    int    // most of taken since the last Trim
	touched int    // buffers from this id on take no memory
	kept    int    // number of true in home
	home    []bool // by id: kept back, neither with the kernel nor with the caller
	out     int
	entries []bufEntry
	mask    uint16
	tail    uint16
	bid0    uint16 // id in entry 0, republished with the tail
	mem     []byte // the entries
	data    []byte // the buffers
}

// NewBufRing registers count buffers of size bytes as the given group of r, and
// hands the first of them to the kernel. It is lent the least number at the least:
// where that is count, all of them always.
func NewBufRing(r *Ring, group uint16, least, count, size int) (*BufRing, error) {
	if count < 1 || count > MaxBuffers || size < 1 {
		return nil, fmt.Errorf("buffer ring of %d buffers of %d bytes: 1 to %d buffers of at least 1 byte are possible", count, size, MaxBuffers)
	}
	n := bufEntries(count)
	least = min(max(least, 1), count)
	b := &BufRing{ring: r, group: group, size: size, count: count, least: least, most: count, kept: count, mask: uint16(n - 1)}
	var err error
	if b.mem, err = Map(BufRingLockedMemory(count)); err != nil {
		return nil, err
	}
	if b.data, err = Map(count * size); err != nil {
		_ = Unmap(b.mem)
		return nil, err
	}
	b.entries = unsafe.Slice((*bufEntry)(unsafe.Pointer(&b.mem[0])), n)
	reg := bufReg{ringAddr: uint64(uintptr(unsafe.Pointer(&b.mem[0]))), ringEntries: uint32(n), bgid: group}
	if err := retryNoMemory(r.waitUntil, func() error {
		return bare(sys.IOURingRegister(r.fd, IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1))
	}); err != nil {
		b.unmap()
		return nil, fmt.Errorf("registering a buffer ring (requires >= 5.19; from 6.14 to 7.2.10 its entries count as locked memory): %w%s", err, callHint(err))
	}
	b.home = make([]bool, count)
	for i := range b.home {
		b.home[i] = true
	}
	b.lend(least)
	b.Publish()
	return b, nil
}

// bufEntries is how many entries a ring of so many buffers has.
func bufEntries(count int) int { return 1 << bits.Len(uint(count-1)) }

// BufRingLockedMemory returns how many bytes of locked memory a BufRing of so many buffers
// counts as, on kernels from 6.14 to 7.2.10: its entries, in whole pages, and not the buffers.
func BufRingLockedMemory(count int) int {
	return wholePages(bufEntries(count) * int(unsafe.Sizeof(bufEntry{})))
}

// lend makes n the number of buffers that are in use.
func (b *BufRing) lend(n int) {
	for id := b.lent; id < n; id++ {
		if b.home[id] { // else it is still on its way from when there were as many
			b.home[id] = false
			b.kept--
			b.give(uint16(id))
		}
	}
	b.lent = n
	b.touched = max(b.touched, n)
}

// give puts a buffer into the ring. The kernel sees it after the next Publish.
func (b *BufRing) give(id uint16) {
	e := &b.entries[b.tail&b.mask]
	e.addr = uint64(uintptr(unsafe.Pointer(&b.data[int(id)*b.size])))
	e.len = uint32(b.size)
	if b.tail&b.mask == 0 {
		b.bid0 = id // written by Publish, together with the tail
	} else {
		e.bid = id
	}
	b.tail++
}

// Take returns the first n bytes of a buffer that a completion named; it is the
// caller's until Recycle.
func (b *BufRing) Take(id uint16, n int) []byte {
	b.out++
	b.taken++
	return b.Peek(id, n)
}

// Peek returns the first n bytes of a buffer that a completion named before it is taken.
func (b *BufRing) Peek(id uint16, n int) []byte {
	off := int(id) * b.size
	return b.data[off : off+n : off+b.size]
}

// Recycle takes a buffer back. The kernel has it again after the next Publish.
func (b *BufRing) Recycle(id uint16) {
	b.out--
	if int(id) < b.lent {
		b.give(id)
		return
	}
	b.home[id] = true
	b.kept++
}

// trimBytes is how much a Trim gives back at the most: it takes a fraction of a millisecond.
const trimBytes = 4 << 20

// Trim lends fewer buffers if most were not needed since the last Trim, and gives the
// memory of the others to the system once they are back. It is meant for about once
// a second.
func (b *BufRing) Trim() {
	if b.peak <= b.lent/8 {
		b.lent = max(b.lent/2, b.least)
	}
	b.peak = 0
	if b.touched > b.lent && b.kept == b.count-b.lent {
		page := unix.Getpagesize()
		first := max(b.lent, b.touched-max(1, trimBytes/b.size))
		from := (first*b.size + page - 1) / page * page
		if to := min(b.touched*b.size, len(b.data)); from < to {
			_ = Discard(b.data[from:to]) // locked memory stays
		}
		b.touched = first
	}
}

// Publish lets the kernel see recycled buffers, and further ones when more than half
// were taken since the last Publish. The tail shares its aligned 32-bit word with entry
// 0's buffer id, so both are stored at once.
func (b *BufRing) Publish() {
	if b.taken > b.peak {
		b.peak = b.taken
	}
	if b.taken > b.lent/2 && b.lent < b.most {
		b.lend(min(2*b.lent, b.most))
	}
	b.taken = 0
	word := (*uint32)(unsafe.Pointer(&b.entries[0].bid))
	atomic.StoreUint32(word, uint32(b.tail)<<16|uint32(b.bid0))
}

// Limit lends no more than n buffers from here on, or the least number if that is more. Those above it that the kernel has it
// uses once more.
func (b *BufRing) Limit(n int) {
	b.most = min(max(n, b.least), b.count)
	b.lent = min(b.lent, b.most)
}

// Out returns how many buffers are with the caller.
func (b *BufRing) Out() int { return b.out }

// Lent returns how many of them are in use: with the kernel or with the caller.
func (b *BufRing) Lent() int { return b.lent }

// Close unregisters the buffers and frees their memory. No receive may be under way.
func (b *BufRing) Close() error {
	reg := bufReg{bgid: b.group}
	err := sys.IOURingRegister(b.ring.fd, IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&reg), 1)
	b.unmap()
	return err
}

func (b *BufRing) unmap() {
	_ = Unmap(b.mem)
	_ = Unmap(b.data)
}
