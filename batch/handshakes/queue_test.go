package handshakes

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// readTwo succeeds when it has read two bytes of the client, and times out otherwise.
func readTwo(c net.Conn) (handshake.Result, error) {
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		return handshake.Result{Outcome: handshake.Timeout}, err
	}
	return handshake.Result{Outcome: handshake.Done}, nil
}

func TestQueueOrder(t *testing.T) {
	p := stub(t, 1, time.Hour, readTwo)
	ends := make(endings, 20)
	var clients []net.Conn
	for i := range 10 {
		fd, client := pair(t)
		t.Cleanup(func() { unix.Close(fd) })
		clients = append(clients, client)
		p.Start(fd, handshake.PeerByMode, ends.done(fmt.Sprint(i)))
	}
	first, holder := pair(t)
	p.Start(first, handshake.PeerByMode, ends.done("holder"))
	holder.Write([]byte{1})
	eventually(t, "the last one runs, and so the others are known", func() bool { running, _ := p.InProgress(); return running == 1 })
	// The order is that of the first bytes, not that of connecting.
	for i := range clients {
		clients[len(clients)-1-i].Write([]byte{1, 2})
	}
	holder.Write([]byte{2})
	if end := ends.next(t); end.name != "holder" {
		t.Fatalf("%s is first", end.name)
	}
	unix.Close(first)
	for i := range clients {
		if end := ends.next(t); end.name != fmt.Sprint(len(clients)-1-i) {
			t.Errorf("%s is number %d", end.name, i)
		}
	}
}

func TestMost(t *testing.T) {
	for _, most := range []int{1, 2, 3, 7} {
		t.Run(fmt.Sprint(most), func(t *testing.T) { testMost(t, most) })
	}
}

func testMost(t *testing.T, most int) {
	var running, highest atomic.Int64
	p := stub(t, most, time.Hour, func(c net.Conn) (handshake.Result, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := highest.Load(); n > old && !highest.CompareAndSwap(old, n); old = highest.Load() {
		}
		return readTwo(c)
	})
	ends := make(endings, 100)
	var clients []net.Conn
	for range 30 {
		fd, client := pair(t)
		t.Cleanup(func() { unix.Close(fd) })
		clients = append(clients, client)
		client.Write([]byte{1})
		p.Start(fd, handshake.PeerByMode, ends.done(""))
	}
	eventually(t, "all slots are taken", func() bool {
		running, waiting := p.InProgress()
		return running == most && waiting == 30-most
	})
	for _, client := range clients {
		client.Write([]byte{2})
	}
	for range clients {
		if end := ends.next(t); !end.ok {
			t.Fatal(end.result.Outcome)
		}
	}
	if h := highest.Load(); h != int64(most) {
		t.Errorf("%d ran at once; at most %d may", h, most)
	}
}

// startEach starts connections in each state, some of each, and returns how many.
func startEach(t *testing.T, p *Pool, ends endings) (n int) {
	for range 10 {
		for _, sends := range [][]byte{nil, {22}, {22, 3, 1}} {
			fd, client := pair(t)
			client.Write(sends)
			p.Start(fd, handshake.PeerByMode, ends.done(string(sends)))
			n++
		}
	}
	eventually(t, "some run, some wait", func() bool {
		running, waiting := p.InProgress()
		return running > 0 && waiting > 10
	})
	return n
}

func TestHurry(t *testing.T) {
	a := newAuthority(t)
	p := newPool(t, a.server(t), 5, time.Hour)
	ends := make(endings, 100)
	n := startEach(t, p, ends)
	fd, client := pair(t)
	p.Start(fd, handshake.PeerByMode, ends.done("speaks"))
	p.Hurry(time.Hour) // is no extension of what comes
	p.Hurry(10 * time.Millisecond)
	p.Hurry(time.Hour)
	for range n + 1 {
		ends.expectFailure(t, handshake.Timeout)
	}
	// Those that start later have as little.
	client.Close()
	fd, _ = pair(t)
	p.Start(fd, handshake.PeerByMode, ends.done("late"))
	ends.expectFailure(t, handshake.Timeout)
}

// TestHurryLetsFinish: who is quick enough is served.
func TestHurryLetsFinish(t *testing.T) {
	a := newAuthority(t)
	p := newPool(t, a.server(t), 5, time.Hour)
	ends := make(endings, 1)
	fd, client := pair(t)
	p.Start(fd, handshake.PeerByMode, ends.done("quick"))
	p.Hurry(patience)
	if err := tls.Client(client, a.client()).Handshake(); err != nil {
		t.Fatal(err)
	}
	if end := ends.next(t); !end.ok {
		t.Error(end.result.Outcome)
	}
	unix.Close(fd)
}

func TestClose(t *testing.T) {
	a := newAuthority(t)
	server := a.server(t)
	p := newPool(t, server, 5, time.Hour)
	ends := make(endings, 200)
	n := startEach(t, p, ends)
	refused, client := pair(t) // lingers
	p.Start(refused, handshake.PeerByMode, ends.done("refused"))
	client.Write([]byte("get a\r\n"))
	p.Close()
	for range n + 1 {
		select {
		case end := <-ends:
			if end.ok {
				t.Errorf("%q: %v", end.name, end.result.Outcome)
			}
		default:
			t.Fatal("Close returned before all was done")
		}
	}
	late, _ := pair(t)
	p.Start(late, handshake.PeerByMode, ends.done("late"))
	ends.expectFailure(t, handshake.Internal)
	p.Close() // once more does nothing
	p.Hurry(0)
}

// TestHurryWhileClosing: a thread that ends is not woken any more, since its descriptors may be others' by then. The race detector sees it.
func TestHurryWhileClosing(t *testing.T) {
	for range 50 {
		p := stub(t, 1, time.Hour, readTwo)
		ends := make(endings, 1)
		fd, _ := pair(t)
		p.Start(fd, handshake.PeerByMode, ends.done("silent"))
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range 100 {
				p.Hurry(time.Hour)
			}
		}()
		p.Close()
		<-over
		ends.expectFailure(t, handshake.Timeout)
	}
}

// TestPriority: done is called on a thread of the pool, whose priority is low.
func TestPriority(t *testing.T) {
	p := stub(t, 1, time.Hour, readTwo)
	fd, client := pair(t)
	client.Write([]byte{1, 2})
	nice := make(chan int)
	p.Start(fd, handshake.PeerByMode, func(handshake.Result, bool) {
		raw, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Error(err)
		}
		nice <- 20 - raw // the system call's result is never negative
	})
	if n := <-nice; n != niceness {
		t.Errorf("nice value %d, want %d", n, niceness)
	}
	unix.Close(fd)
}

// TestSilentClientsCost measures what a client costs that sends nothing, in this process.
func TestSilentClientsCost(t *testing.T) {
	const clients = 2000
	p := stub(t, 256, time.Hour, readTwo)
	ends := make(endings, clients)
	done := ends.done("")
	var fds [clients][2]int
	for i := range fds {
		var err error
		if fds[i], err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	used := func() (m runtime.MemStats) {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m
	}
	before := used()
	for i := range fds {
		p.Start(fds[i][0], handshake.PeerByMode, done)
	}
	eventually(t, "all wait", func() bool { _, waiting := p.InProgress(); return waiting == clients })
	after := used()
	each := (int64(after.HeapAlloc+after.StackInuse) - int64(before.HeapAlloc+before.StackInuse)) / clients
	t.Logf("%d bytes each", each)
	if each > 1024 {
		t.Errorf("a silent client costs %d bytes", each)
	}
	p.Close()
	for i := range fds {
		unix.Close(fds[i][1])
	}
}
