package ring

import (
	"fmt"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
)

// RegisterDirect gives the ring an empty table of n direct descriptors. A table may
// hold at most RLIMIT_NOFILE entries.
func (r *Ring) RegisterDirect(n int) error {
	reg := rsrcRegister{nr: uint32(n), flags: IORING_RSRC_REGISTER_SPARSE}
	if err := sys.IOURingRegister(r.fd, IORING_REGISTER_FILES2, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg))); err != nil {
		return fmt.Errorf("registering %d direct descriptors (requires >= 5.19, and no more than RLIMIT_NOFILE): %w", n, err)
	}
	r.direct = true
	return nil
}

// setDirect puts the descriptor fd into a slot of the table.
func (r *Ring) setDirect(slot uint32, fd int) error {
	fds := (*int32)(unsafe.Pointer(&r.waitMem[len(r.waitMem)-4])) // mapped memory, unused so far in its page
	*fds = int32(fd)
	up := rsrcUpdate{offset: slot, data: uint64(uintptr(unsafe.Pointer(fds)))}
	return sys.IOURingRegister(r.fd, sys.IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&up), 1)
}
