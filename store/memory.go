package store

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is a range of anonymous memory outside the Go heap. It is zero until written, and costs nothing until touched. Who maps it
// unmaps it; nothing may point into it afterwards.
type mapping struct {
	mem     []byte
	purpose string
}

// mapMemory maps size bytes, without reserving swap for what may never be touched. With huge, the kernel is asked to back them
// with huge pages, and may still not do it.
func mapMemory(purpose string, size int64, huge bool) (mapping, error) {
	if size > math.MaxInt {
		return mapping{}, fmt.Errorf("store: map %d bytes for %s: more than the address space", size, purpose)
	}
	mem, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return mapping{}, fmt.Errorf("store: map %d bytes for %s: %w", size, purpose, err)
	}
	m := mapping{mem: mem, purpose: purpose}
	if huge {
		if err := unix.Madvise(mem, unix.MADV_HUGEPAGE); err != nil {
			return mapping{}, errors.Join(fmt.Errorf("store: ask for huge pages for %s: %w", purpose, err), m.unmap())
		}
	}
	return m, nil
}

// base is the address of the first byte.
func (m *mapping) base() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(m.mem)) }

// size is the length in bytes, touched or not.
func (m *mapping) size() uint64 { return uint64(len(m.mem)) }

func (m *mapping) unmap() error {
	if m.mem == nil {
		return nil
	}
	if err := unix.Munmap(m.mem); err != nil {
		return fmt.Errorf("store: unmap %s: %w", m.purpose, err)
	}
	m.mem = nil
	return nil
}
