package top

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"ringcached/bench/load"
)

// scripted is a server that answers commands from a table, and those that are not in it with ERROR. An empty answer closes the connection.
type scripted struct {
	addr string
	mu   sync.Mutex
	says map[string]string
	got  []string // commands
	open int      // connections that were accepted
}

func serve(t *testing.T, says map[string]string) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: l.Addr().String(), says: says}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open++
			s.mu.Unlock()
			all.Go(func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					answer := s.answer(in.Text())
					if answer == "" {
						return
					}
					if _, err := c.Write([]byte(answer)); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return s
}

func (s *scripted) answer(command string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, command)
	if answer, ok := s.says[command]; ok {
		return answer
	}
	return "ERROR\r\n"
}

// say changes an answer.
func (s *scripted) say(command, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[command] = answer
}

// commands are those since the last call.
func (s *scripted) commands() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.got, ", ")
	s.got = nil
	return all
}

func memcached() map[string]string {
	return map[string]string{
		"version": "VERSION 1.6.45\r\n", "stats": "STAT pid 9\r\nSTAT version 1.6.45\r\nSTAT odd\r\nSTAT text a b c\r\nEND\r\n",
		"stats slabs": "STAT 1:chunk_size 96\r\nEND\r\n", "stats items": "END\r\n",
	}
}

func wantRead(t *testing.T, s *session, says string) *Reading {
	t.Helper()
	r, err := s.read(t.Context())
	if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
		t.Fatalf("%v, want %q", err, says)
	}
	return r
}

// TestAsksOnceWhatIsRefused: one connection, one command after the other, and what the server does not have is not asked for again on it.
func TestAsksOnceWhatIsRefused(t *testing.T) {
	server := serve(t, memcached())
	s := &session{addr: server.addr}
	defer s.close()
	r := wantRead(t, s, "")
	if got := server.commands(); got != "version, stats, stats slabs, stats items, stats batch, stats hotkeys" {
		t.Errorf("first: %s", got)
	}
	if r.Version != "1.6.45" || r.text(general, "text") != "a b c" || r.text(general, "odd") != "" || !r.offers(items) || r.offers(batch) || r.offers(hotKeys) {
		t.Errorf("%+v", r)
	}
	wantRead(t, s, "")
	if got := server.commands(); got != "stats, stats slabs, stats items" || server.open != 1 {
		t.Errorf("again: %s, on %d connections", got, server.open)
	}
}

// TestConnectsAnew: a connection that was kept may have been closed. Another server on the address may offer what the one before did not.
func TestConnectsAnew(t *testing.T) {
	server := serve(t, memcached())
	s := &session{addr: server.addr}
	defer s.close()
	wantRead(t, s, "")
	s.conn.Conn.(*net.TCPConn).CloseWrite() // which ends the server's side
	if _, err := s.conn.In.ReadByte(); err == nil {
		t.Fatal("the server goes on")
	}
	server.commands()
	server.say("stats batch", "STAT engine uring\r\nEND\r\n")
	if r := wantRead(t, s, ""); r.text(batch, "engine") != "uring" {
		t.Errorf("stats batch was not asked for: %s", server.commands())
	}
	server.say("stats slabs", "") // closes whenever it is asked
	wantRead(t, s, "EOF")
	server.say("stats slabs", "END\r\n")
	wantRead(t, s, "")
}

func TestServersThatAreNone(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	many := strings.Repeat("STAT a 1\r\n", linesMost+1)
	for _, c := range []struct{ command, answer, says string }{
		{"version", "-ERR unknown command\r\n", "is no memcached server"},
		{"version", "CLIENT_ERROR unauthenticated\r\n", "wants a user and a password (-Y)"},
		{"version", load.RefusalLine + "\r\n", "refused the connection"},
		{"version", long + "\r\n", "buffer full"},
		{"stats", "SERVER_ERROR out of memory\r\n", `the answer to stats  ends with "SERVER_ERROR out of memory"`},
		{"stats", "STAT pid " + long + "\r\nEND\r\n", "buffer full"},
		{"stats slabs", many + "END\r\n", "has more than 8192 lines"},
		{"stats items", "VALUE\r\n", "ends with"},
		{"stats batch", load.RefusalLine + "\r\n", "refused the connection"},
	} {
		says := memcached()
		says[c.command] = c.answer
		s := &session{addr: serve(t, says).addr}
		wantRead(t, s, c.says)
		if s.conn != nil {
			t.Errorf("%s: the connection is kept", c.says)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	wantRead(t, &session{addr: l.Addr().String()}, "can't connect to "+l.Addr().String()+": connect: connection refused")
}

// TestLongValues are cut, and names that no server has are left out.
func TestLongValues(t *testing.T) {
	says := memcached()
	says["stats"] = fmt.Sprintf("STAT a %s\r\nSTAT %s 1\r\nEND\r\n", strings.Repeat("v", 20_000), strings.Repeat("n", nameMost+1))
	s := &session{addr: serve(t, says).addr}
	defer s.close()
	r := wantRead(t, s, "")
	if len(r.groups[general]) != 1 || len(r.text(general, "a")) != valueMost {
		t.Errorf("%d lines, one of %d bytes", len(r.groups[general]), len(r.text(general, "a")))
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Addr: "11211", Interval: intervals[0]}, {Addr: "localhost:11211"}, {Addr: "unix:/x", Interval: -1}} {
		if err := Run(t.Context(), o, nil); err == nil || errors.Is(err, errInterrupted) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
