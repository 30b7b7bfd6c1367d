package memory

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mapping is a range of memory, anonymous or of a file, outside the Go heap. Anonymous memory is zero until written, and costs nothing
// until touched. Who maps it unmaps it; nothing may point into it afterwards. Behind what may be used lies address space into which it can
// grow.
type Mapping struct {
	all     []byte       // all of the address space, as the system gave it
	mem     []byte       // of that, what may become usable
	usable  atomic.Int64 // bytes from the beginning that may be used
	huge    bool
	file    *os.File // nil: anonymous
	purpose string
}

// Map maps size bytes, without reserving swap for what may never be touched, with address space to grow to most bytes. With huge,
// the kernel is asked to back them with huge pages, and may still not do it. Without, they begin where huge pages of align bytes do, 0 for anywhere,
// so that Collapse can make some later.
func Map(purpose string, size, most int64, huge bool, align int64) (*Mapping, error) {
	most = WholePages(max(size, most))
	slack := int64(0)
	if !huge && most >= align {
		slack = align
	}
	if most > math.MaxInt-slack {
		return nil, fmt.Errorf("store: map %d bytes for %s: more than the address space", size, purpose)
	}
	all, err := unix.Mmap(-1, 0, int(most+slack), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("store: map %d bytes for %s: %w", most+slack, purpose, err)
	}
	begin := int64(0)
	if slack > 0 {
		begin = int64(-uintptr(unsafe.Pointer(unsafe.SliceData(all))) & uintptr(align-1))
	}
	m := &Mapping{all: all, mem: all[begin : begin+most], huge: huge, purpose: purpose}
	if err := m.Grow(size); err != nil {
		return nil, errors.Join(err, m.Unmap())
	}
	return m, nil
}

// CheckAddressSpace fails if there are not that many bytes more of address space.
func CheckAddressSpace(bytes int) error {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("store: %d bytes of address space for others: %w", bytes, err)
	}
	return unix.Munmap(mem)
}

// MapFile maps the first size bytes of f, which must have them when they are touched. What is written goes into the file.
func MapFile(purpose string, f *os.File, size int64, huge bool) (*Mapping, error) {
	size = WholePages(size)
	mem, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("store: map %d bytes of %s for %s: %w", size, f.Name(), purpose, err)
	}
	if huge {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // not every file system has them
	}
	m := &Mapping{all: mem, mem: mem, file: f, purpose: purpose}
	m.usable.Store(size)
	return m, nil
}

// WholePages is n rounded up to the system's pages.
func WholePages(n int64) int64 {
	size := int64(unix.Getpagesize())
	return (n + size - 1) / size * size
}

// Grow makes the first size bytes usable, which the address space must have room for. It never makes less usable than before.
func (m *Mapping) Grow(size int64) error {
	size = WholePages(size)
	if size <= m.usable.Load() {
		return nil
	}
	if err := unix.Mprotect(m.mem[:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return fmt.Errorf("store: %d bytes for %s: %w", size, m.purpose, err)
	}
	if m.huge {
		if err := unix.Madvise(m.mem[:size], unix.MADV_HUGEPAGE); err != nil {
			return fmt.Errorf("store: ask for huge pages for %s: %w", m.purpose, err)
		}
	}
	m.usable.Store(size)
	return nil
}

// GiveBack returns n bytes at off to the system: they take no memory any more, and are zero when they are next used. In a file, where the
// file system knows how, they leave a hole, which has to be reserved again before.
func (m *Mapping) GiveBack(off, n int64) error {
	if m.file != nil { // not by MADV_REMOVE, which does not touch what is locked
		_ = unix.Fallocate(int(m.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		return nil
	}
	part := m.mem[off : off+n]
	// This splits a huge page, all of which the kernel would keep until memory is short. It refuses locked memory (-k).
	_ = unix.Madvise(part, unix.MADV_FREE)
	err := unix.Madvise(part, unix.MADV_DONTNEED)
	if errors.Is(err, unix.EINVAL) { // locked (-k); since Linux 5.18
		err = unix.Madvise(part, unix.MADV_DONTNEED_LOCKED)
	}
	if err != nil {
		return fmt.Errorf("store: give back memory of %s: %w", m.purpose, err)
	}
	return nil
}

// Collapse moves n bytes at off, which must be those of one huge page, into one. Until it returns whoever touches them waits, and whoever touches
// other memory of the mapping for the first time. Linux can since 6.1; EINVAL: this one cannot, or not here.
func (m *Mapping) Collapse(off, n int64) error {
	return unix.Madvise(m.mem[off:off+n], unix.MADV_COLLAPSE)
}

// Bytes are all that may become usable.
func (m *Mapping) Bytes() []byte { return m.mem }

// warmHugePage takes a huge page of n bytes from the kernel and gives it back, so that the one that Collapse takes next is most likely the same. In a
// virtual machine the host may have to find memory for a page that was not in use before: four milliseconds instead of 0.2, in which Collapse would make
// others wait.
func warmHugePage(n int64) {
	m, err := Map("a huge page", n, 0, false, n)
	if err != nil {
		return
	}
	_ = unix.Madvise(m.mem, unix.MADV_HUGEPAGE)
	m.mem[0] = 1
	_ = m.Unmap()
}

// Base is the address of the first byte.
func (m *Mapping) Base() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(m.mem)) }

// Size is how many bytes may be used, touched or not.
func (m *Mapping) Size() uint64 { return uint64(m.usable.Load()) }

// Unmap gives all of it up. Nobody may use it any more. A nil Mapping has none.
func (m *Mapping) Unmap() error {
	if m == nil || m.all == nil {
		return nil
	}
	if err := unix.Munmap(m.all); err != nil {
		return fmt.Errorf("store: unmap %s: %w", m.purpose, err)
	}
	m.all, m.mem = nil, nil
	return nil
}
