package ring

import (
	"errors"
	"net"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestRecvInto(t *testing.T) {
	everySet(t, func(t *testing.T, o Options) {
		r := newRing(t, o)
		a, b := tcpPair(t) // unix sockets of early kernels do not tell whether there is more
		mem, err := Map(4096)
		if err != nil {
			t.Fatal(err)
		}
		defer Unmap(mem)
		for _, pollFirst := range []bool{false, true} {
			if _, err := unix.Write(b, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			r.SQE().PrepRecvInto(a, unsafe.Pointer(&mem[100]), 3, pollFirst)
			if c := wait(t, r); c.Res != 3 || string(mem[100:105]) != "hel\x00\x00" || !c.SocketNonEmpty() {
				t.Errorf("%+v, %q", c, mem[100:105])
			}
			r.SQE().PrepRecvInto(a, unsafe.Pointer(&mem[200]), 1000, pollFirst)
			if c := wait(t, r); c.Res != 2 || string(mem[200:203]) != "lo\x00" {
				t.Errorf("%+v, %q", c, mem[200:203])
			}
			clear(mem)
		}
		_ = unix.Shutdown(b, unix.SHUT_RDWR)
		r.SQE().PrepRecvInto(a, unsafe.Pointer(&mem[0]), 10, true)
		if c := wait(t, r); c.Res != 0 {
			t.Errorf("at the end: %+v", c)
		}
	})
}

// tcpPair makes two connected TCP sockets.
func tcpPair(t *testing.T) (a, b int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fds := [2]int{}
	for i, c := range []net.Conn{out, in} {
		f, err := c.(*net.TCPConn).File() // a duplicate
		_ = c.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		fds[i] = int(f.Fd())
		if err := unix.SetNonblock(fds[i], false); err != nil {
			t.Fatal(err)
		}
	}
	return fds[0], fds[1]
}

// TestSendmsgZC sends over TCP, where it works, and on a unix socket, where it does not.
func TestSendmsgZC(t *testing.T) {
	fs, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if !fs.Has(SendmsgZC) {
		t.Skip("this kernel copies all it sends: run the test on 6.1 or newer")
	}
	r := newRing(t, Options{Entries: 8, CQEntries: 64, Features: fs})
	mem, err := Map(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer Unmap(mem)
	type iovec struct{ base, len uintptr }
	vec := (*iovec)(unsafe.Pointer(&mem[0]))
	msg := (*struct {
		name, namelen, iov, iovlen, control, controllen, flags uintptr
	})(unsafe.Pointer(&mem[64]))
	*vec = iovec{uintptr(unsafe.Pointer(&mem[1000])), 3000}
	msg.iov, msg.iovlen = uintptr(unsafe.Pointer(vec)), 1

	out, in := tcpPair(t)
	r.SQE().PrepSendmsgZC(out, unsafe.Pointer(msg), unix.MSG_NOSIGNAL, true)
	if c := wait(t, r); c.Res != 3000 || !c.More() {
		t.Errorf("sent: %+v", c)
	}
	if n, err := unix.Read(in, make([]byte, 5000)); n != 3000 || err != nil {
		t.Errorf("received %d, %v", n, err)
	}
	c := wait(t, r)
	if _, ok := c.Notification(); !ok || c.More() {
		t.Errorf("notification: %+v", c)
	}

	a, _ := pair(t)
	r.SQE().PrepSendmsgZC(a, unsafe.Pointer(msg), unix.MSG_NOSIGNAL, true)
	if c := wait(t, r); !errors.Is(unix.Errno(-c.Res), unix.EOPNOTSUPP) {
		t.Errorf("unix socket: %+v", c)
	}
}
