package seccomp

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// listenFD is where a program under rules without an errno has the descriptor by which a Supervisor is asked.
const listenFD = 200

// Supervisor decides about the calls of a program whose rules have no errno: they fail with an errno until Allow.
type Supervisor struct {
	Refused atomic.Int64 // calls

	allowed atomic.Bool
	fd      int
	errno   syscall.Errno
	stop    chan struct{}
	done    chan struct{}
}

// Supervise decides about the calls of a process that Command has started, until the end of the test.
func Supervise(t testing.TB, pid int, errno syscall.Errno) *Supervisor {
	t.Helper()
	process, _, e := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)
	if e != 0 {
		t.Fatal(os.NewSyscallError("pidfd_open", e))
	}
	defer syscall.Close(int(process))
	fd, _, e := syscall.Syscall(sysPidfdGetfd, process, listenFD, 0)
	if e != 0 {
		t.Fatal(os.NewSyscallError("pidfd_getfd", e))
	}
	s := &Supervisor{fd: int(fd), errno: errno, stop: make(chan struct{}), done: make(chan struct{})}
	go s.follow()
	t.Cleanup(func() {
		close(s.stop)
		<-s.done
		_ = syscall.Close(s.fd)
	})
	return s
}

// Allow lets all further calls through.
func (s *Supervisor) Allow() { s.allowed.Store(true) }

// request is struct seccomp_notif, answer is struct seccomp_notif_resp.
type request struct {
	id         uint64
	pid, flags uint32
	data       [64]byte
}

type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// follow answers requests.
func (s *Supervisor) follow() {
	const receive, send, goOn = 0xc0502100, 0xc0182101, 1 // SECCOMP_IOCTL_NOTIF_RECV and _SEND, SECCOMP_USER_NOTIF_FLAG_CONTINUE
	defer close(s.done)
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		if !s.asked() {
			continue
		}
		var r request
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s.fd), receive, uintptr(unsafe.Pointer(&r))); errno != 0 {
			continue // the process has ended meanwhile
		}
		a := answer{id: r.id, flags: goOn}
		if !s.allowed.Load() {
			a.errno, a.flags = -int32(s.errno), 0
			s.Refused.Add(1)
		}
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, uintptr(s.fd), send, uintptr(unsafe.Pointer(&a)))
	}
}

// asked waits a little for a request.
func (s *Supervisor) asked() bool {
	const pollIn = 1
	poll := struct {
		fd              int32
		events, revents int16
	}{fd: int32(s.fd), events: pollIn}
	wait := syscall.NsecToTimespec(20e6)
	n, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&wait)), 0, 0, 0)
	return errno == 0 && n == 1 && poll.revents&pollIn != 0
}
