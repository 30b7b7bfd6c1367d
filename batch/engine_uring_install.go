package batch

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

// Of a direct descriptor only operations of the ring know, and there is none that asks how much of a stream has been received or
// acknowledged. So when a connection ends the kernel makes an ordinary descriptor of it, for a moment.

// installTries is how often the outcome is looked for, where a thread of the kernel's makes it.
const installTries = 20

func (e *uringEngine) install(c *conn) (fd int, err error) {
	if !e.features.Has(ring.FixedInstall) {
		return -1, errNoDescriptor
	}
	if e.r.Ready() > ringCQEntries/2 { // completions are not to be lost sight of: these are handled first
		return -1, unix.EBUSY
	}
	sqe := e.sqe()
	sqe.PrepInstall(int(c.fd))
	t := c.token(kindInstall)
	e.queue(sqe, t)
	e.submitAll()
	for range installTries {
		if res, found := e.takeInstalled(t); found {
			return installed(res)
		}
		if e.ch.config.SQPoll == 0 {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	return -1, unix.EAGAIN
}

// takeInstalled takes the outcome of install out of the completions that have not been handled.
func (e *uringEngine) takeInstalled(t token) (res int32, found bool) {
	for i := e.r.Ready(); i > 0; i-- {
		if cqe := e.r.CQE(i - 1); token(cqe.UserData) == t {
			res, cqe.UserData, cqe.Res = cqe.Res, uint64(makeToken(kindIgnore, 0, 0)), 0
			return res, true
		}
	}
	return 0, false
}

func installed(res int32) (fd int, err error) {
	if res >= 0 {
		return int(res), nil
	}
	if errno := syscall.Errno(-res); passing(errno) {
		return -1, errno
	}
	return -1, errNoDescriptor
}
