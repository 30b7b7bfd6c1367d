package ring

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Map returns n bytes of zeroed, page-aligned memory outside the Go heap, rounded
// up to whole pages: memory whose address may be given to the kernel. Pages cost
// nothing until they are touched. The caller gives it back with Unmap.
func Map(n int) ([]byte, error) {
	n = wholePages(n)
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	return mem, nil
}

// MapSparing is Map for memory that can be done without: it fails unless so many more bytes of address space are left for others. The Go
// runtime ends the process when it cannot have the few KiB that it asks for (runtime.persistentalloc in Go 1.26).
func MapSparing(n, left int) ([]byte, error) {
	mem, err := unix.MmapPtr(-1, 0, nil, uintptr(wholePages(n)+wholePages(left)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes and leaving %d for others: %w", n, left, err)
	}
	if err := unix.MunmapPtr(mem, uintptr(wholePages(n)+wholePages(left))); err != nil {
		return nil, fmt.Errorf("munmap: %w", err)
	}
	return Map(n)
}

// wholePages rounds n bytes up to whole pages.
func wholePages(n int) int {
	page := unix.Getpagesize()
	return (n + page - 1) / page * page
}

// Unmap gives back what Map returned. The kernel must be done with it.
func Unmap(mem []byte) error { return unix.Munmap(mem) }

// Discard returns the pages of mem, which Map returned, to the system; the memory
// stays mapped and reads as zeroes.
func Discard(mem []byte) error { return unix.Madvise(mem, unix.MADV_DONTNEED) }

// Resident is how many pages of mem, which Map returned, are in memory.
func Resident(mem []byte) (n int, err error) {
	in := make([]byte, len(mem)/unix.Getpagesize())
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		return 0, fmt.Errorf("mincore: %w", errno)
	}
	for _, b := range in {
		n += int(b & 1)
	}
	return n, nil
}

// ErrMemory is wrapped by errors that say that the kernel has no memory for a ring or for
// its list of buffers, both of which may count as locked memory. Failing to map memory is
// another error.
var ErrMemory = errors.New("no memory for a ring")

// DefaultMemoryWait is how long making a ring waits for memory unless Options say otherwise.
const DefaultMemoryWait = 3 * time.Second

// retryNoMemory calls f again while it fails for lack of memory, up to the given time. Rings count
// against the locked memory of their user until the kernel has freed them, which it does
// some time after they were closed: a server that is started again right after it was
// stopped may have to wait for its own past.
func retryNoMemory(until time.Time, f func() error) error {
	for pause := time.Millisecond; ; pause *= 2 {
		err := f()
		if !errors.Is(err, unix.ENOMEM) {
			return err
		}
		left := time.Until(until)
		if left <= 0 {
			return memoryError{err}
		}
		time.Sleep(min(pause, left))
	}
}

// memoryError is an ErrMemory that reads as its errno.
type memoryError struct{ error }

func (e memoryError) Unwrap() []error { return []error{ErrMemory, e.error} }
