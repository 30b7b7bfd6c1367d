package ktls

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ringcached/internal/record"
	"ringcached/ring"
)

// TestRing: io_uring's sends are sealed like others, its receives bring records as they are, and it too refuses what the package's comment says.
func TestRing(t *testing.T) {
	kernel(t)
	features, err := ring.Probe()
	if err != nil {
		t.Skipf("this is about io_uring, which is not usable here: %v", err)
	}
	forEachSuite(t, func(t *testing.T, s *sides, keys *record.KernelKeys) { testRing(t, features, s) })
}

func testRing(t *testing.T, features ring.Features, s *sides) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := ring.New(ring.Options{Entries: 8, CQEntries: 64, Features: features})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// The kernel reads and writes it while Go runs, so it is not Go's.
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	wait := func() int32 {
		t.Helper()
		for {
			for r.Ready() == 0 {
				if errno := r.Enter(1, 30*time.Second); errno != 0 && errno != unix.EINTR {
					t.Fatal(errno)
				}
			}
			c := *r.CQE(0)
			r.Advance(1)
			if _, notification := c.Notification(); !notification {
				return c.Res
			}
		}
	}
	n := copy(mem, "VALUE a 0 5\r\nhello\r\nEND\r\n")
	expect := func() {
		t.Helper()
		var got []byte
		for len(got) < n {
			plain, event := s.next(t)
			if event.Kind != record.EventData {
				t.Fatalf("%+v", event)
			}
			got = append(got, plain...)
		}
		if string(got) != string(mem[:n]) {
			t.Fatalf("received %q", got)
		}
	}
	r.SQE().PrepSend(s.fd, unsafe.Pointer(&mem[0]), n, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if res := wait(); res != int32(n) {
		t.Fatalf("send: %d", res)
	}
	expect()
	r.SQE().PrepSend(s.fd, unsafe.Pointer(&mem[0]), n, unix.MSG_NOSIGNAL) // waits if it has to
	if res := wait(); res != int32(n) {
		t.Fatalf("send that waits: %d", res)
	}
	expect()

	// Three pieces: what is before an item's data, the data, and what is behind.
	iov := (*[3]unix.Iovec)(unsafe.Pointer(&mem[1024]))
	for i, piece := range [][]byte{mem[:13], mem[13:18], mem[18:n]} {
		iov[i].Base = &piece[0]
		iov[i].SetLen(len(piece))
	}
	msg := (*unix.Msghdr)(unsafe.Pointer(&mem[2048]))
	*msg = unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(len(iov))
	r.SQE().PrepSendmsg(s.fd, unsafe.Pointer(msg), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if res := wait(); res != int32(n) {
		t.Fatalf("sendmsg: %d", res)
	}
	expect()

	r.SQE().PrepSend(s.fd, unsafe.Pointer(&mem[0]), n, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_WAITALL)
	if res := wait(); res != -int32(unix.EOPNOTSUPP) {
		t.Errorf("send with MSG_WAITALL: %d, want -EOPNOTSUPP", res)
	}
	if features.Has(ring.SendmsgZC) {
		r.SQE().PrepSendmsgZC(s.fd, unsafe.Pointer(msg), unix.MSG_NOSIGNAL, false)
		if res := wait(); res != -int32(unix.EOPNOTSUPP) {
			t.Errorf("sendmsg without copying: %d, want -EOPNOTSUPP", res)
		}
	}

	sealed := make([]byte, 64)
	m := s.ciphers.SealCopy(1, &s.peer, sealed, []byte("get a\r\n"))
	if _, err := s.client.Write(sealed[:m]); err != nil {
		t.Fatal(err)
	}
	r.SQE().PrepRecvInto(s.fd, unsafe.Pointer(&mem[3072]), 512, true)
	if res := wait(); res != int32(m) || string(mem[3072:3072+m]) != string(sealed[:m]) {
		t.Errorf("received %d bytes of %d, or others", res, m)
	}
}
