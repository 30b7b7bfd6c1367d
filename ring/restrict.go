package ring

import (
	"errors"
	"fmt"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// Use is what a ring of a server is for, beside serving stream sockets. A ring that is made for a Use may do nothing else, so that whoever takes
// over its thread opens no file, connects nowhere and runs nothing through it. A field may only be set where the kernel has what it takes.
type Use struct {
	Datagrams    bool // receiving datagrams
	ZeroCopy     bool // sends that do not copy (SendmsgZC)
	Direct       bool // direct descriptors: a table of them, and passing them to other rings
	FixedInstall bool // making ordinary descriptors of direct ones (FixedInstall)
	BusyPoll     bool // Ring.BusyPoll (BusyPolling)
}

// permissions are what a ring may do: operations, calls of io_uring_register, and flags of submission entries.
type permissions struct {
	operations []uint8 // IORING_OP_
	registers  []uint8 // IORING_REGISTER_
	flags      uint8   // IOSQE_
}

// permissions are those that the use takes. The kernel refuses to restrict a ring to what it does not know.
func (u *Use) permissions() *permissions {
	p := &permissions{
		operations: []uint8{sys.IORING_OP_ACCEPT, sys.IORING_OP_RECV, sys.IORING_OP_SEND, sys.IORING_OP_SENDMSG,
			sys.IORING_OP_POLL_ADD, sys.IORING_OP_ASYNC_CANCEL, sys.IORING_OP_CLOSE},
		registers: []uint8{IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS, IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING},
		flags:     IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS,
	}
	if u.Datagrams {
		p.operations = append(p.operations, sys.IORING_OP_RECVMSG)
	}
	if u.ZeroCopy {
		p.operations = append(p.operations, sys.IORING_OP_SENDMSG_ZC)
	}
	if u.Direct {
		p.operations = append(p.operations, sys.IORING_OP_MSG_RING)
		p.registers = append(p.registers, IORING_REGISTER_FILES2)
		p.flags |= IOSQE_FIXED_FILE
	}
	if u.FixedInstall {
		p.operations = append(p.operations, IORING_OP_FIXED_FD_INSTALL)
	}
	if u.BusyPoll {
		p.registers = append(p.registers, IORING_REGISTER_NAPI)
	}
	return p
}

// restrictions are what a ring with these options is restricted to; nil: to nothing.
func (o *Options) restrictions() *permissions {
	switch {
	case o.Operations != nil:
		return &permissions{
			operations: o.Operations,
			registers: []uint8{
				sys.IORING_REGISTER_FILES_UPDATE, sys.IORING_REGISTER_PROBE, IORING_REGISTER_FILES2,
				IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS, IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING,
			},
			flags: IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS,
		}
	case o.Use != nil && (!o.Features.known || o.Features.Has(Restrictions)):
		return o.Use.permissions()
	}
	return nil
}

// restrict makes the kernel refuse on this ring whatever is not permitted, with EACCES, and begins to take entries. This cannot be taken back.
// The ring was made with IORING_SETUP_R_DISABLED, by this thread.
func (r *Ring) restrict(p *permissions) error {
	all := []restriction{{opcode: IORING_RESTRICTION_SQE_FLAGS_ALLOWED, what: p.flags}}
	for _, op := range p.registers {
		all = append(all, restriction{opcode: IORING_RESTRICTION_REGISTER_OP, what: op})
	}
	for _, op := range p.operations {
		all = append(all, restriction{opcode: IORING_RESTRICTION_SQE_OP, what: op})
	}
	if err := sys.IOURingRegister(r.fd, sys.IORING_REGISTER_RESTRICTIONS, unsafe.Pointer(&all[0]), uint32(len(all))); err != nil {
		return fmt.Errorf("restricting a ring: %w", bare(err))
	}
	if err := sys.IOURingRegister(r.fd, sys.IORING_REGISTER_ENABLE_RINGS, nil, 0); err != nil {
		return fmt.Errorf("enabling a ring: %w", bare(err))
	}
	return nil
}

// restrictions restricts a ring, and tries an operation that is not permitted then.
func (p prober) restrictions() error {
	p.Operations, p.Use, p.Features = nil, &Use{}, Features{}
	r, err := p.scratch()
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.EBUSY): // the last with restrictions that the process inherited
		return fmt.Errorf("%w (%w)", ErrDenied, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return ErrNotSupported
	case err != nil:
		return err
	}
	defer r.Close()
	r.SQE().PrepNop()
	c, err := r.waitOne()
	if err == nil && c.Res != -int32(unix.EACCES) {
		err = ErrNotSupported
	}
	return err
}
