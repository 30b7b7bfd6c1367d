package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// socketStats are `stats conns` by the sockets' names, then by the names of their fields.
func socketStats(t *testing.T, server *servertest.Server) map[string]map[string]string {
	t.Helper()
	sockets := map[string]map[string]string{}
	for name, value := range server.Stats(t, "conns") {
		socket, what, _ := strings.Cut(name, ":")
		if sockets[socket] == nil {
			sockets[socket] = map[string]string{}
		}
		sockets[socket][what] = value
	}
	return sockets
}

// byAddress finds the socket whose addr is that.
func byAddress(sockets map[string]map[string]string, addr string) map[string]string {
	for _, s := range sockets {
		if s["addr"] == addr {
			return s
		}
	}
	return nil
}

// TestStatsConns: the connections of all channels are shown, with what each is doing.
func TestStatsConns(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2")
		states := map[string]string{}
		for i := range 12 {
			c := server.Dial(t)
			said, answer, state := "version\r\n", "VERSION", "conn_read"
			switch i % 4 {
			case 1:
				said, answer, state = "version\r\nset a 0 0 100\r\n123", "VERSION", "conn_nread"
			case 2:
				said, answer, state = "version\r\nget", "VERSION", "conn_waiting"
			case 3:
				said, answer, state = "watch\r\n", "OK", "conn_watch"
			}
			if _, err := io.WriteString(c, said); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, answer) {
				t.Fatalf("got %q, %v", line, err)
			}
			states[c.LocalAddr().String()] = state
		}
		// What follows the line that was answered may come a little later.
		servertest.Eventually(t, watchTime, func() error {
			sockets := socketStats(t, server)
			for addr, state := range states {
				s := byAddress(sockets, "tcp:"+addr)
				if s == nil || s["state"] != state || s["listen_addr"] != "tcp:"+server.Addr || s["secs_since_last_cmd"] == "" {
					return fmt.Errorf("%s, %s, is shown as %v", addr, state, s)
				}
			}
			listening, asking := 0, 0
			for _, s := range sockets {
				switch {
				case s["state"] == "conn_listening" && s["addr"] == "tcp:"+server.Addr && s["listen_addr"] == "":
					listening++
				case s["state"] == "conn_parse_cmd":
					asking++
				}
			}
			if listening != 2 || asking != 1 || len(sockets) != len(states)+listening+asking {
				return fmt.Errorf("%d sockets, %d of them listening, %d asking", len(sockets), listening, asking)
			}
			return nil
		})
	})
}

// TestStatsConnsAtOnce: many ask at the same time, on all channels.
func TestStatsConnsAtOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "-t", "2")
		var wg sync.WaitGroup
		for range 8 {
			c := server.Dial(t)
			wg.Go(func() {
				if err := askConns(c, 10); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// askConns asks n times and closes the connection: the client must find itself.
func askConns(c net.Conn, n int) error {
	_ = c.SetDeadline(time.Now().Add(watchTime))
	go func() { _, _ = io.WriteString(c, strings.Repeat("stats conns\r\n", n)+"quit\r\n") }()
	text, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if own := strings.Count(string(text), ":addr tcp:"+c.LocalAddr().String()+"\r\n"); own != n || strings.Count(string(text), "END\r\n") != n {
		return fmt.Errorf("shown %d times in\n%s", own, text)
	}
	return nil
}

// TestStatsConnsOfOthers: what has no descriptor or no address is shown for what it is.
func TestStatsConnsOfOthers(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		servertest.NeedURing(t)
		server := servertest.Start(t, "uring", "-t", "1", "--direct-descriptors")
		if strings.Contains(server.Log(), "direct descriptors are off") {
			t.Skip("this kernel does not release direct descriptors: run the test on 6.13 or newer")
		}
		for name, s := range socketStats(t, server) {
			if strings.HasPrefix(name, "direct0.") && s["addr"] == "unknown" && s["state"] == "conn_parse_cmd" {
				return
			}
		}
		t.Errorf("got %v", socketStats(t, server))
	})
	t.Run("udp", func(t *testing.T) {
		server := servertest.Start(t, "epoll", "-t", "1", "-U", "-1")
		udp := 0
		for _, s := range socketStats(t, server) {
			if s["UDP"] == "UDP" && strings.HasPrefix(s["addr"], "udp:127.0.0.1:") && s["state"] == "conn_read" {
				udp++
			}
		}
		if udp != 1 {
			t.Errorf("got %v", socketStats(t, server))
		}
	})
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(publicDir(t), "socket")
		server := servertest.Start(t, engine, "-t", "2", "-s", path)
		states := map[string]int{}
		for _, s := range socketStats(t, server) {
			states[s["addr"]+" "+s["listen_addr"]+" "+s["state"]]++
		}
		if states["unix:"+path+"  conn_listening"] != 2 || states["unix: unix:"+path+" conn_parse_cmd"] != 1 {
			t.Errorf("got %v", states)
		}
	})
}
