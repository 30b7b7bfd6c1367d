package ring

import (
	"fmt"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
)

// registered are the register opcodes that this package uses.
var registered = []uint8{
	sys.IORING_REGISTER_FILES_UPDATE, sys.IORING_REGISTER_PROBE, IORING_REGISTER_FILES2,
	IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS, IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING,
}

// restrict makes the kernel refuse all operations but these on the ring, with EACCES, as
// filters for whole processes do from 7.0 on, and begins to take entries. The ring was
// made with IORING_SETUP_R_DISABLED.
func (r *Ring) restrict(operations []uint8) error {
	all := []restriction{{opcode: IORING_RESTRICTION_SQE_FLAGS_ALLOWED, what: IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS}}
	for _, op := range registered {
		all = append(all, restriction{opcode: IORING_RESTRICTION_REGISTER_OP, what: op})
	}
	for _, op := range operations {
		all = append(all, restriction{opcode: IORING_RESTRICTION_SQE_OP, what: op})
	}
	if err := sys.IOURingRegister(r.fd, sys.IORING_REGISTER_RESTRICTIONS, unsafe.Pointer(&all[0]), uint32(len(all))); err != nil {
		return fmt.Errorf("restricting a ring: %w", err)
	}
	if err := sys.IOURingRegister(r.fd, sys.IORING_REGISTER_ENABLE_RINGS, nil, 0); err != nil {
		return fmt.Errorf("enabling a ring: %w", err)
	}
	return nil
}
