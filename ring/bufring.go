package ring

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
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
type BufRing struct {
	ring    *Ring
	group   uint16
	size    int
	count   int
	out     int
	entries []bufEntry
	mask    uint16
	tail    uint16
	bid0    uint16 // id in entry 0, republished with the tail
	mem     []byte // the entries
	data    []byte // the buffers
}

// NewBufRing registers count buffers of size bytes as the given group of r, and
// hands them all to the kernel.
func NewBufRing(r *Ring, group uint16, count, size int) (*BufRing, error) {
	if count < 1 || count > MaxBuffers || size < 1 {
		return nil, fmt.Errorf("buffer ring of %d buffers of %d bytes: 1 to %d buffers of at least 1 byte are possible", count, size, MaxBuffers)
	}
	n := 1 << bits.Len(uint(count-1))
	b := &BufRing{ring: r, group: group, size: size, count: count, mask: uint16(n - 1)}
	var err error
	if b.mem, err = Map(n * int(unsafe.Sizeof(bufEntry{}))); err != nil {
		return nil, err
	}
	if b.data, err = Map(count * size); err != nil {
		_ = Unmap(b.mem)
		return nil, err
	}
	b.entries = unsafe.Slice((*bufEntry)(unsafe.Pointer(&b.mem[0])), n)
	reg := bufReg{ringAddr: uint64(uintptr(unsafe.Pointer(&b.mem[0]))), ringEntries: uint32(n), bgid: group}
	if err := retryNoMemory(func() error {
		return sys.IOURingRegister(r.fd, IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1)
	}); err != nil {
		b.unmap()
		return nil, fmt.Errorf("registering a buffer ring (requires >= 5.19; from 6.14 its entries count as locked memory): %w", err)
	}
	b.out = count
	for i := range count {
		b.data[i*size] = 0 // the pages are there before the first burst, not by and by
		b.Recycle(uint16(i))
	}
	b.Publish()
	return b, nil
}

// Take returns the first n bytes of a buffer that a completion named; it is the
// caller's until Recycle.
func (b *BufRing) Take(id uint16, n int) []byte {
	b.out++
	off := int(id) * b.size
	return b.data[off : off+n : off+b.size]
}

// Recycle gives a buffer back. The kernel sees it after the next Publish.
func (b *BufRing) Recycle(id uint16) {
	e := &b.entries[b.tail&b.mask]
	e.addr = uint64(uintptr(unsafe.Pointer(&b.data[int(id)*b.size])))
	e.len = uint32(b.size)
	if b.tail&b.mask == 0 {
		b.bid0 = id // written by Publish, together with the tail
	} else {
		e.bid = id
	}
	b.tail++
	b.out--
}

// Publish lets the kernel see recycled buffers. The tail shares its aligned 32-bit
// word with entry 0's buffer id, so both are stored at once.
func (b *BufRing) Publish() {
	word := (*uint32)(unsafe.Pointer(&b.entries[0].bid))
	atomic.StoreUint32(word, uint32(b.tail)<<16|uint32(b.bid0))
}

// Out returns how many buffers are with the caller.
func (b *BufRing) Out() int { return b.out }

// Count returns how many buffers there are, and Size how large each is.
func (b *BufRing) Count() int { return b.count }

// Size returns the bytes of one buffer.
func (b *BufRing) Size() int { return b.size }

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
