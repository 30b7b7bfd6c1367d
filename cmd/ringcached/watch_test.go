package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// watchTime is how long a watcher may have to wait for its lines.
const watchTime = 30 * time.Second * servertest.Slow

// watch makes a connection that watches.
func watch(t *testing.T, server *servertest.Server, kinds string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := server.Dial(t)
	_ = c.SetDeadline(time.Now().Add(watchTime))
	if _, err := io.WriteString(c, "watch "+kinds+"\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	expectLine(t, in, "OK")
	return c, in
}

// request sends a request and reads the one line that answers it.
func request(c net.Conn, in *bufio.Reader, request string) (string, error) {
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return "", err
	}
	line, err := in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// TestWatch: every watcher, whichever channel it is on, sees what clients on all channels do, each client's requests in order.
func TestWatch(t *testing.T) {
	const watching, clients, each = 6, 8, 50
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2")
		var watchers []*bufio.Reader
		for range watching {
			_, in := watch(t, server, "fetchers")
			watchers = append(watchers, in)
		}
		var wg sync.WaitGroup
		for id := range clients {
			c := server.Dial(t)
			_ = c.SetDeadline(time.Now().Add(watchTime))
			wg.Go(func() {
				in := bufio.NewReader(c)
				for n := range each {
					if got, err := request(c, in, fmt.Sprintf("get key-%d-%d", id, n)); err != nil || got != "END" {
						t.Errorf("got %q, %v", got, err)
						return
					}
				}
			})
		}
		wg.Wait()
		for _, in := range watchers {
			expectInOrder(t, in, clients, each)
		}
	})
}

var getEvent = regexp.MustCompile(`^ts=\d+\.\d{6} gid=\d+ type=item_get key=key-(\d+)-(\d+) status=not_found clsid=0 cfd=\d+ size=0\n$`)

// expectInOrder reads the events of the given number of clients, with the given number of requests each.
func expectInOrder(t *testing.T, in *bufio.Reader, clients, each int) {
	t.Helper()
	next := make(map[string]int)
	for range clients * each {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		m := getEvent.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("got %q", line)
		}
		if want := fmt.Sprint(next[m[1]]); m[2] != want {
			t.Fatalf("client %s: request %s, want %s", m[1], m[2], want)
		}
		next[m[1]]++
	}
}

// TestWatchConnevents: connections come and go.
func TestWatchConnevents(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2")
		_, in := watch(t, server, "connevents")
		c := server.Dial(t)
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		expectEvent(t, in, `type=conn_new rip=127\.0\.0\.1 rport=`+port+` transport=tcp cfd=\d+`)
		if _, err := io.WriteString(c, "quit\r\n"); err != nil {
			t.Fatal(err)
		}
		expectEvent(t, in, `type=conn_close rip=127\.0\.0\.1 rport=`+port+` transport=tcp reason=normal cfd=\d+`)
		c = server.Dial(t)
		expectEvent(t, in, `type=conn_new .*`)
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		expectEvent(t, in, `type=conn_close rip=.* transport=tcp reason=error cfd=\d+`)
	})
}

// TestWatchIdle: a connection that sends nothing is closed, and a watcher, which sends nothing either, sees that.
func TestWatchIdle(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2", "-o", "idle_timeout=1")
		in := watchInTime(t, server)
		c := server.Dial(t)
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(line, "type=conn_close ") && strings.Contains(line, " rport="+port+" transport=tcp reason=idle_timeout ") {
				return
			}
		}
	})
}

// watchInTime makes a watcher of connevents before the connection is closed for silence, however often that takes.
func watchInTime(t *testing.T, server *servertest.Server) (in *bufio.Reader) {
	t.Helper()
	servertest.Eventually(t, watchTime, func() error {
		c := server.Dial(t)
		_ = c.SetDeadline(time.Now().Add(watchTime))
		in = bufio.NewReader(c)
		got, err := request(c, in, "watch connevents")
		if err == nil && got != "OK" {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
	return in
}

// expectEvent reads a line of which pattern is what follows time and id.
func expectEvent(t *testing.T, in *bufio.Reader, pattern string) {
	t.Helper()
	line, err := in.ReadString('\n')
	if err != nil || !regexp.MustCompile(`^ts=\d+\.\d{6} gid=\d+ `+pattern+"\n$").MatchString(line) {
		t.Fatalf("got %q, %v; want %s", line, err, pattern)
	}
}

// TestWatchEvictions: watchers see what is evicted on any channel.
func TestWatchEvictions(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2", "-m", "4")
		_, in := watch(t, server, "evictions")
		c := server.Dial(t)
		_ = c.SetDeadline(time.Now().Add(watchTime))
		replies := bufio.NewReader(c)
		for n := range 10_000 {
			if got, err := request(c, replies, fmt.Sprintf("set key-%d 0 0 1000\r\n%s", n, strings.Repeat("v", 1000))); err != nil || got != "STORED" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		expectEvent(t, in, `type=eviction key=key-\d+ fetch=no ttl=-1 la=\d+ clsid=\d+ size=1000`)
	})
}

// TestWatchersLeave: a watcher whose connection ends leaves nothing behind.
func TestWatchersLeave(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2")
		for range 3 { // more than may watch at a time
			for range 10 {
				c, _ := watch(t, server, "fetchers connevents")
				c.Close()
			}
			servertest.Eventually(t, watchTime, func() error {
				if n := server.Stat(t, "log_watchers"); n != 0 {
					return fmt.Errorf("%d still watch", n)
				}
				return nil
			})
		}
		written := server.Stat(t, "log_worker_written")
		c := server.Dial(t)
		_ = c.SetDeadline(time.Now().Add(watchTime))
		if got, err := request(c, bufio.NewReader(c), "get a"); err != nil || got != "END" {
			t.Errorf("got %q, %v", got, err)
		}
		if n := server.Stat(t, "log_worker_written"); n != written {
			t.Errorf("%d events were written for nobody", n-written)
		}
	})
}
