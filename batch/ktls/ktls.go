package ktls

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"ringcached/internal/record"
)

// Types of records for SendRecord (RFC 8446, section 5.1).
const (
	Alert     = 21
	Handshake = 22
)

// From linux/tls.h. SOL_TLS is in package unix.
const (
	TLS_TX              = 1
	TLS_SET_RECORD_TYPE = 1
)

// keysMax is the longest struct for TLS_TX: that of ChaCha20-Poly1305 has 4 bytes, IV, key, and sequence number.
const keysMax = 4 + 12 + 32 + 8

// Enable has the kernel seal what is sent on a connected TCP socket from now on, with these keys and from this sequence number. What was sent
// before goes out as it is. After an error the socket is as it was, but for its upper layer protocol, which does nothing without keys:
// package record can go on with it. The socket must not be in use by another thread meanwhile.
func Enable(fd int, keys *record.KernelKeys) error {
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_ULP, "tls"); err != nil {
		return fmt.Errorf("ktls: %w", os.NewSyscallError("setsockopt TCP_ULP", err))
	}
	return setKeys(fd, keys)
}

// Update sends a KeyUpdate and gives the kernel the key that follows, if [Support] says that it takes one; others fail with EBUSY, and the
// connection must not send any more. ask requests a KeyUpdate of the peer. EAGAIN says that the socket's buffer is full: nothing has changed, and the
// caller tries again later.
func Update(fd int, c *record.Ciphers, slot uint32, s *record.State, ask bool) error {
	request := byte(0)
	if ask {
		request = 1
	}
	if err := SendRecord(fd, Handshake, []byte{keyUpdate, 0, 0, 1, request}); err != nil {
		return err
	}
	var sealed [record.KeyUpdateLen]byte // by s, which goes on to the next key by that; nobody sees it
	c.AppendKeyUpdate(slot, s, sealed[:0], ask)
	keys := s.KernelKeys()
	return setKeys(fd, &keys)
}

// keyUpdate is the type of the handshake message (RFC 8446, section 4).
const keyUpdate = 24

func setKeys(fd int, keys *record.KernelKeys) error {
	var space [keysMax]byte
	info := keys.AppendTo(space[:0])
	defer clear(space[:])
	// No helper of package unix takes bytes without making a string of them, which could not be zeroed.
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_TLS, TLS_TX, uintptr(unsafe.Pointer(&info[0])), uintptr(len(info)), 0)
	if errno != 0 {
		return fmt.Errorf("ktls: %w", os.NewSyscallError("setsockopt TLS_TX", errno))
	}
	return nil
}

// SendRecord sends a record of another type than application data, sealed by the kernel behind all that was sent before. It does not wait: EAGAIN
// says that the socket's buffer is full and nothing of the record was sent. The text must be short, an alert or a KeyUpdate.
func SendRecord(fd int, kind byte, text []byte) error {
	var control [24]byte // cmsghdr of 16 bytes, one byte of data, padding: CMSG_SPACE(1)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level = unix.SOL_TLS
	h.Type = TLS_SET_RECORD_TYPE
	h.SetLen(unix.CmsgLen(1))
	control[unix.CmsgLen(0)] = kind
	for {
		n, err := unix.SendmsgN(fd, text, control[:unix.CmsgSpace(1)], nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n != len(text):
			return fmt.Errorf("ktls: %d bytes of a record of %d were sent", n, len(text))
		default:
			return nil
		}
	}
}

// SendLast sends an alert behind which nothing comes. EAGAIN says that the socket is too full for now. After it the socket can be shut down or closed in
// order. Before, that could lose data: the kernel has sealed more than the socket has taken then, and drops that.
func SendLast(fd int, level, description byte) error {
	// What is sealed and not taken is a record, as none is begun before the one before it is taken. In a socket that is half empty there is room for it, and
	// sending something puts it there first.
	var memory [_SK_MEMINFO_VARS]uint32
	length := uint32(unsafe.Sizeof(memory))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return fmt.Errorf("ktls: %w", os.NewSyscallError("getsockopt SO_MEMINFO", errno))
	}
	if memory[_SK_MEMINFO_WMEM_QUEUED] > memory[_SK_MEMINFO_SNDBUF]/2 {
		return unix.EAGAIN
	}
	return SendRecord(fd, Alert, []byte{level, description})
}

// From linux/sock_diag.h.
const (
	_SK_MEMINFO_SNDBUF      = 3
	_SK_MEMINFO_WMEM_QUEUED = 5
	_SK_MEMINFO_VARS        = 9
)

// Sealed returns the sequence number of the next record: how many the kernel has sealed with the present keys. keys are those that were given to it,
// and are not changed.
func Sealed(fd int, keys *record.KernelKeys) (uint64, error) {
	var space [keysMax]byte
	length := uint32(len(keys.AppendTo(space[:0])))
	defer clear(space[:])
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_TLS, TLS_TX, uintptr(unsafe.Pointer(&space[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("ktls: %w", os.NewSyscallError("getsockopt TLS_TX", errno))
	}
	return binary.BigEndian.Uint64(space[length-8 : length]), nil
}
