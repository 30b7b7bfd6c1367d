package ring

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// BusyPoll makes a wait for completions ask the network devices of the ring's sockets for packets itself, for so long, before it
// sleeps. Sockets that no device serves, as those of loopback, are not asked for. It needs the feature BusyPolling.
func (r *Ring) BusyPoll(d time.Duration) error {
	n := napi{busyPollUsec: uint32(d.Microseconds())}
	err := sys.IOURingRegister(r.fd, IORING_REGISTER_NAPI, unsafe.Pointer(&n), 1)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		err = ErrNotSupported
	}
	if err != nil {
		return fmt.Errorf("busy polling (requires >= 6.9, and CONFIG_NET_RX_BUSY_POLL): %w", err)
	}
	return nil
}

func (r *Ring) probeBusyPolling() error {
	if err := r.BusyPoll(time.Microsecond); errors.Is(err, ErrNotSupported) {
		return ErrNotSupported
	} else if err != nil {
		return err
	}
	return nil
}
