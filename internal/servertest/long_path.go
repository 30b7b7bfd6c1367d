package servertest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// What is sent to PathEnd arrives at PathStart, as if PathEnd had sent it: a connection to PathEnd is one to this host over the path.
const (
	PathStart = "10.77.0.1"
	PathEnd   = "10.77.0.2"
)

// LongPath puts the test, and the processes that it starts from here on, into a network of their own, which has a loopback interface and a path
// that every packet takes so long to travel. It is made of a tun device, so that it takes no part of the kernel that is often left out.
// Connections belong to the network if the test's own goroutine makes them.
func LongPath(t *testing.T, delay time.Duration) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := syscall.Unshare(syscall.CLONE_NEWNET); errors.Is(err, syscall.EPERM) {
		t.Skipf("no network of its own, %v: run the test as root, with the capability CAP_SYS_ADMIN", err)
	} else if err != nil {
		t.Fatal(os.NewSyscallError("unshare", err))
	}
	device, err := openTun("path")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENODEV) {
		t.Skipf("no tun device, %v: run the test as root where /dev/net/tun can be opened", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	for _, err := range []error{bringUp("lo", nil), bringUp("path", []byte{10, 77, 0, 1})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	go travel(device, delay)
}

// travel sends back what comes out of the device, after the delay.
func travel(device *os.File, delay time.Duration) {
	type packet struct {
		due   time.Time
		bytes []byte
	}
	under := make(chan packet, 1<<16)
	defer close(under)
	go func() {
		for p := range under {
			time.Sleep(time.Until(p.due))
			_, _ = device.Write(p.bytes)
		}
	}()
	for buf := make([]byte, 2048); ; {
		n, err := device.Read(buf)
		if err != nil {
			return
		}
		const source, destination, header = 12, 16, 20
		if n < header || buf[0]>>4 != 4 {
			continue
		}
		p := append([]byte(nil), buf[:n]...)
		copy(p[source:destination], buf[destination:header]) // no checksum changes when two addresses change places
		copy(p[destination:header], buf[source:destination])
		under <- packet{time.Now().Add(delay), p}
	}
}

// ifreq is struct ifreq: a name, and an argument.
type ifreq struct {
	name [syscall.IFNAMSIZ]byte
	arg  [24]byte
}

func (r *ifreq) do(fd int, request uintptr) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(r))); errno != 0 {
		return fmt.Errorf("ioctl %#x of %s: %w", request, r.name[:], errno)
	}
	return nil
}

func openTun(name string) (*os.File, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/net/tun", err)
	}
	r := ifreq{}
	copy(r.name[:], name)
	*(*uint16)(unsafe.Pointer(&r.arg)) = syscall.IFF_TUN | syscall.IFF_NO_PI
	if err := r.do(fd, syscall.TUNSETIFF); err != nil {
		_ = syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// bringUp gives an interface of this thread's network an address in a network of 24 bits, unless that is nil, and makes it work.
func bringUp(name string, address []byte) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	request := func(code uintptr, arg []byte) {
		r := ifreq{}
		copy(r.name[:], name)
		copy(r.arg[:], arg)
		if err == nil {
			err = r.do(fd, code)
		}
	}
	if address != nil {
		family := []byte{syscall.AF_INET, 0, 0, 0}
		request(syscall.SIOCSIFADDR, append(family, address...))
		request(syscall.SIOCSIFNETMASK, append(family, 255, 255, 255, 0))
		request(syscall.SIOCSIFTXQLEN, []byte{0, 0x40, 0, 0}) // packets; a full queue drops them
	}
	request(syscall.SIOCSIFFLAGS, []byte{syscall.IFF_UP | syscall.IFF_RUNNING, 0})
	return err
}
