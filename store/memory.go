package store

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is a range of memory, anonymous or of a file, outside the Go heap. Anonymous memory is zero until written, and costs nothing
// until touched. Who maps it unmaps it; nothing may point into it afterwards. Behind what may be used lies address space into which it can
// grow.
type mapping struct {
	mem     []byte       // all of the address space
	usable  atomic.Int64 // bytes from the beginning that may be used
	huge    bool
	file    *os.File // nil: anonymous
	purpose string
}

// mapMemory maps size bytes, without reserving swap for what may never be touched, with address space to grow to most bytes. With huge,
// the kernel is asked to back them with huge pages, and may still not do it.
func mapMemory(purpose string, size, most int64, huge bool) (*mapping, error) {
	most = wholePages(max(size, most))
	if most > math.MaxInt {
		return nil, fmt.Errorf("store: map %d bytes for %s: more than the address space", size, purpose)
	}
	mem, err := unix.Mmap(-1, 0, int(most), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("store: map %d bytes for %s: %w", most, purpose, err)
	}
	m := &mapping{mem: mem, huge: huge, purpose: purpose}
	if err := m.grow(size); err != nil {
		return nil, errors.Join(err, m.unmap())
	}
	return m, nil
}

// spare tells whether there is so much more address space.
func spare(bytes int) error {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("store: %d bytes of address space for others: %w", bytes, err)
	}
	return unix.Munmap(mem)
}

// mapFile maps the first size bytes of f, which must have them when they are touched. What is written goes into the file.
func mapFile(purpose string, f *os.File, size int64, huge bool) (*mapping, error) {
	size = wholePages(size)
	mem, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("store: map %d bytes of %s for %s: %w", size, f.Name(), purpose, err)
	}
	if huge {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // not every file system has them
	}
	m := &mapping{mem: mem, file: f, purpose: purpose}
	m.usable.Store(size)
	return m, nil
}

// inMemory says whether a file is on a tmpfs.
func inMemory(f *os.File) bool {
	var system unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &system) == nil && system.Type == unix.TMPFS_MAGIC
}

// wholePages is n rounded up to the system's pages.
func wholePages(n int64) int64 {
	size := int64(unix.Getpagesize())
	return (n + size - 1) / size * size
}

// grow makes the first size bytes usable, which the address space must have room for. It never makes less usable than before.
func (m *mapping) grow(size int64) error {
	size = wholePages(size)
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

// giveBack returns n bytes at off to the system: they take no memory any more, and are zero when they are next used. In a file, where the
// file system knows how, they leave a hole, which has to be reserved again before.
func (m *mapping) giveBack(off, n int64) error {
	if m.file != nil { // not by MADV_REMOVE, which does not touch what is locked
		_ = unix.Fallocate(int(m.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		return nil
	}
	part := m.mem[off : off+n]
	err := unix.Madvise(part, unix.MADV_DONTNEED)
	if errors.Is(err, unix.EINVAL) { // locked (-k); since Linux 5.18
		err = unix.Madvise(part, unix.MADV_DONTNEED_LOCKED)
	}
	if err != nil {
		return fmt.Errorf("store: give back memory of %s: %w", m.purpose, err)
	}
	return nil
}

// base is the address of the first byte.
func (m *mapping) base() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(m.mem)) }

// size is how many bytes may be used, touched or not.
func (m *mapping) size() uint64 { return uint64(m.usable.Load()) }

func (m *mapping) unmap() error {
	if m == nil || m.mem == nil {
		return nil
	}
	if err := unix.Munmap(m.mem); err != nil {
		return fmt.Errorf("store: unmap %s: %w", m.purpose, err)
	}
	m.mem = nil
	return nil
}
