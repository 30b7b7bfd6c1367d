package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

const (
	stopValues = 40
	stopValue  = 100_000
)

// TestStopOverLongPath: over a path of 100 ms there and back, whoever had asked before a signal gets every byte of the replies, and a client that
// goes on asking is not reset before it has them.
func TestStopOverLongPath(t *testing.T) {
	for name, flags := range map[string]string{
		"uring": "--engine uring", "epoll": "--engine epoll",
		"direct": "--engine uring --direct-descriptors", "zero copy": "--engine uring --send-zc 5000",
	} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR2} {
			t.Run(fmt.Sprint(name, " ", sig), func(t *testing.T) {
				if strings.Contains(flags, "uring") {
					servertest.NeedURing(t)
				}
				servertest.LongPath(t, 50*time.Millisecond)
				l := newLineage(t)
				l.start(exec.Command(l.program, append(strings.Fields(flags), "-l", "0.0.0.0", "-p", "-1", "-u", "nobody", "-v",
					"--drain-timeout", patience.String())...))
				l.stopWhileReading(sig)
			})
		}
	}
}

// stopWhileReading sends the signal when a client on the long path has asked for much, and has read nothing of the replies.
func (l *lineage) stopWhileReading(sig syscall.Signal) {
	t := l.t
	t.Helper()
	near, err := l.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	in := bufio.NewReader(near)
	value := bytes.Repeat([]byte("0123456789"), stopValue/10)
	var want bytes.Buffer
	for i := range stopValues {
		fmt.Fprintf(near, "set k%d 0 0 %d\r\n%s\r\n", i, stopValue, value)
		expectLine(t, in, "STORED")
		fmt.Fprintf(&want, "VALUE k%d 0 %d\r\n%s\r\nEND\r\n", i, stopValue, value)
	}
	client := l.dialPath()
	var requests strings.Builder
	for i := range stopValues {
		fmt.Fprintf(&requests, "get k%d\r\n", i)
	}
	before := bytesRead(t, near)
	if _, err := io.WriteString(client, requests.String()); err != nil {
		t.Fatal(err)
	}
	asked := 0
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		asked += len(statsRequest)
		if n := bytesRead(t, near) - before - asked; n < requests.Len() {
			return fmt.Errorf("%d bytes of the requests have arrived", n)
		}
		return nil
	})
	old := l.PID
	l.Signal(sig)
	read := make(chan []byte, 1)
	go func() {
		got, _ := io.ReadAll(client) // a reset may follow the end
		read <- got
	}()
	for { // the client goes on asking
		_, _ = io.WriteString(client, "get k0\r\n")
		select {
		case got := <-read:
			if !bytes.HasPrefix(got, want.Bytes()) {
				t.Errorf("%d of %d bytes of the replies, or wrong ones", len(got), want.Len())
			}
			if sig == syscall.SIGUSR2 {
				l.Follow()
			}
			l.WantGone(old)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestHandOverServesWaiting: with no_maxconns_fast, who waits for room when the server hands over is answered by the one or the other.
func TestHandOverServesWaiting(t *testing.T) {
	for name, flags := range map[string]string{"uring": "--engine uring", "epoll": "--engine epoll", "direct": "--engine uring --direct-descriptors"} {
		t.Run(name, func(t *testing.T) {
			if name != "epoll" {
				servertest.NeedURing(t)
			}
			t.Parallel()
			l := newLineage(t)
			l.start(exec.Command(l.program, append(strings.Fields(flags), "-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v",
				"-t", "1", "-c", "1", "-o", "no_maxconns_fast")...))
			var conns []net.Conn
			for i := range 4 {
				conn, err := l.dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if i > 0 {
					conns = append(conns, conn)
				} else {
					answer(t, conn, "version", 1)
				}
			}
			for _, conn := range conns {
				fmt.Fprint(conn, "version\r\n")
			}
			l.handOver()
			for i, conn := range conns {
				line, err := bufio.NewReader(conn).ReadString('\n')
				if want := "VERSION " + memcachedVersion + "\r\n"; line != want {
					t.Errorf("connection %d of those that waited got %q, %v", i+1, line, err)
				}
				conn.Close() // makes room in the next server
			}
		})
	}
}

// dialPath connects to the server over the long path, and has been answered once.
func (l *lineage) dialPath() net.Conn {
	l.t.Helper()
	_, port, _ := net.SplitHostPort(l.addr)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(servertest.PathEnd, port), patience)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	answer(l.t, conn, "version", 1)
	return conn
}

// bytesRead is how much the server has read so far, with what asks for it.
func bytesRead(t *testing.T, conn net.Conn) int {
	t.Helper()
	n, err := strconv.Atoi(statsOver(t, conn)["bytes_read"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
