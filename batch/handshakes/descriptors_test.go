package handshakes

import (
	"crypto/tls"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// asChild says that the test is the child of another that gives its process a limit.
const asChild = "RINGCACHED_HANDSHAKES_CHILD"

// TestNoDescriptors: a pool that has no descriptors for its threads closes what it is given, says so once, and works when there are some.
func TestNoDescriptors(t *testing.T) {
	if os.Getenv(asChild) == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestNoDescriptors$", "-test.v")
		child.Env = append(os.Environ(), asChild+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	a := newAuthority(t)
	checkLeak(t)
	var logged messages
	p := New(a.server(t), 4, patience, logged.log)
	defer p.Close()
	ends := make(endings, 3)

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	first, _ := pair(t)
	second, _ := pair(t)
	highest := max(first, second)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(highest + 1), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	holes := takeAll(t) // all that are free but one, which an epoll set takes, and nothing else is left then
	unix.Close(holes[0])
	p.Start(first, handshake.PeerByMode, ends.done("first"))
	ends.expectFailure(t, handshake.Internal)
	if hole, err := unix.Dup(0); err != nil { // where the first one was
		t.Fatal(err)
	} else {
		holes = append(holes, hole)
	}
	p.Start(second, handshake.PeerByMode, ends.done("second"))
	ends.expectFailure(t, handshake.Internal)
	if logged.with("too many open files") != 1 || logged.with("") != 1 {
		t.Errorf("logged: %q", logged.text)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, fd := range holes[1:] {
		unix.Close(fd)
	}

	fd, client := pair(t)
	p.Start(fd, handshake.PeerByMode, ends.done("third"))
	if err := tls.Client(client, a.client()).Handshake(); err != nil {
		t.Fatal(err)
	}
	if end := ends.next(t); !end.ok {
		t.Error(end.result.Outcome)
	}
	unix.Close(fd)
}

// takeAll opens descriptors until there are none left.
func takeAll(t *testing.T) (fds []int) {
	for {
		fd, err := unix.Dup(0)
		switch err {
		case nil:
			fds = append(fds, fd)
		case unix.EMFILE:
			return fds
		default:
			t.Fatal(err)
		}
	}
}

// TestBadDescriptor: what cannot be waited for is closed.
func TestBadDescriptor(t *testing.T) {
	checkLeak(t)
	var logged messages
	p := New(new(handshake.Server), 1, time.Hour, logged.log)
	defer p.Close()
	file, err := os.Open(os.Args[0]) // a file that epoll refuses
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	ends := make(endings, 1)
	p.Start(fd, handshake.PeerByMode, ends.done("file"))
	ends.expectFailure(t, handshake.Internal)
	if logged.with("operation not permitted") != 1 {
		t.Errorf("logged: %q", logged.text)
	}
}
