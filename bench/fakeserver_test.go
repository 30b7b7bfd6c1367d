package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// flaw changes the replies of a fakeServer. It gets the number of the request among all gets and sets, from 1, and the right reply; it
// returns what is sent instead, and whether the connection is closed then.
type flaw func(n int, reply []byte) (sent []byte, hangUp bool)

// fakeServer is a small memcached: version, get, set, delete and some statistics.
type fakeServer struct {
	listener net.Listener
	flaw     flaw

	mu       sync.Mutex
	items    map[string][]byte
	flags    map[string]string // of items
	order    []string          // keys as they came, where room is limited
	room     int               // items; 0: no limit
	evicted  int
	requests int
	used     map[int]int // requests by the number of their connection
	accepted int
	conns    map[net.Conn]struct{}
}

func startFake(t *testing.T, f flaw) *fakeServer {
	t.Helper()
	return startFakeOn(t, "127.0.0.1:0", f)
}

func startFakeOn(t *testing.T, addr string, f flaw) *fakeServer {
	t.Helper()
	l, err := net.Listen(splitAddr(addr))
	if err != nil {
		t.Fatal(err)
	}
	return startFakeWith(t, l, f)
}

func startFakeWith(t *testing.T, l net.Listener, f flaw) *fakeServer {
	t.Helper()
	s := &fakeServer{
		listener: l, flaw: f, items: make(map[string][]byte), flags: make(map[string]string), conns: make(map[net.Conn]struct{}),
		used: make(map[int]int),
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.accepted++
			number := s.accepted
			s.conns[c] = struct{}{}
			s.mu.Unlock()
			all.Go(func() {
				_ = s.serve(c, number)
				_ = c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		s.close()
		all.Wait()
	})
	return s
}

func (s *fakeServer) addr() string {
	a := s.listener.Addr()
	if a.Network() == "unix" {
		return unixPrefix + a.String()
	}
	return a.String()
}

// close stops accepting and drops every connection, as a dying server does.
func (s *fakeServer) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *fakeServer) serve(c net.Conn, number int) error {
	in := bufio.NewReader(c)
	out := bufio.NewWriter(c)
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		reply, err := s.reply(strings.Fields(line), in)
		if err != nil {
			return err
		}
		hangUp := false
		if !bytes.HasPrefix(reply, []byte("VERSION")) {
			if n := s.count(number); s.flaw != nil {
				reply, hangUp = s.flaw(n, reply)
			}
		}
		if _, err := out.Write(reply); err != nil {
			return err
		}
		if hangUp {
			return out.Flush()
		}
	}
}

// count returns the number of a request on the connection.
func (s *fakeServer) count(connection int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.used[connection]++
	return s.requests
}

func (s *fakeServer) reply(f []string, in io.Reader) ([]byte, error) {
	switch f[0] {
	case "version":
		return []byte("VERSION fake\r\n"), nil
	case "mn":
		return []byte("MN\r\n"), nil
	case "stats":
		return s.stats(f[1:]), nil
	case "delete":
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.items, f[1])
		return quiet(f, "DELETED\r\n"), nil
	case "set":
		n, err := strconv.Atoi(f[4])
		if err != nil {
			return nil, err
		}
		value := make([]byte, n+2)
		if _, err := io.ReadFull(in, value); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.put(f[1], value)
		s.flags[f[1]] = f[2]
		return quiet(f, "STORED\r\n"), nil
	case "get":
		var b []byte
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range f[1:] {
			if v, ok := s.items[key]; ok {
				b = append(fmt.Appendf(b, "VALUE %s %s %d\r\n", key, s.flags[key], len(v)-2), v...)
			}
		}
		return append(b, "END\r\n"...), nil
	}
	return []byte("ERROR\r\n"), nil
}

// quiet is the reply to a request, unless that wants none.
func quiet(f []string, reply string) []byte {
	if f[len(f)-1] == "noreply" {
		return nil
	}
	return []byte(reply)
}

// put stores a value; where room is limited, the item that came first has to go.
func (s *fakeServer) put(key string, value []byte) {
	if _, there := s.items[key]; !there && s.room > 0 {
		for len(s.items) >= s.room {
			delete(s.items, s.order[0])
			s.order = s.order[1:]
			s.evicted++
		}
		s.order = append(s.order, key)
	}
	s.items[key] = value
}

// fakeHeader is what a fakeServer says that it needs for an item beside its key and value, in bytes.
const fakeHeader = 50

// stats answers with a store of one class, number 7, of two pages of a thousand chunks of 1000 bytes.
func (s *fakeServer) stats(group []string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 0
	for key, value := range s.items {
		size += fakeHeader + len(key) + len(value) - len("\r\n")
	}
	var b []byte
	switch {
	case len(group) == 0:
		b = fmt.Appendf(b, "STAT curr_items %d\r\nSTAT evictions %d\r\nSTAT bytes %d\r\nSTAT hash_bytes 4096\r\nSTAT hash_is_expanding 0\r\nSTAT limit_maxbytes 1048576\r\n",
			len(s.items), s.evicted, size)
	case group[0] == "slabs":
		b = fmt.Appendf(b, "STAT 7:chunk_size 1000\r\nSTAT 7:chunks_per_page 1000\r\nSTAT 7:total_pages 2\r\nSTAT 7:used_chunks %d\r\nSTAT 7:free_chunks %d\r\n",
			len(s.items), 2000-len(s.items))
		b = append(b, "STAT 9:chunk_size 2000\r\nSTAT 9:chunks_per_page 500\r\nSTAT 9:total_pages 1\r\nSTAT 9:used_chunks 0\r\nSTAT 9:free_chunks 500\r\n"...)
		b = append(b, "STAT active_slabs 2\r\nSTAT total_malloced 3145728\r\n"...)
	case group[0] == "items":
		b = fmt.Appendf(b, "STAT items:7:number %d\r\nSTAT items:7:mem_requested %d\r\n", len(s.items), size)
	}
	return append(b, "END\r\n"...)
}

// smallWorkload is one that a fakeServer is done with quickly.
func smallWorkload(change func(*Workload)) Workload {
	w := DefaultWorkload()
	w.Connections, w.Keys, w.ValueSize = 4, 100, 40
	if change != nil {
		change(&w)
	}
	return w
}

// testRun runs a short load on the fake server with keys stored.
func testRun(t *testing.T, s *fakeServer, driver string, w Workload, requests int64) (*RunResult, error) {
	t.Helper()
	o := RunOptions{Duration: 30 * time.Second, Preload: true}
	o.Addr, o.Workload, o.Driver, o.Requests, o.Stall = s.addr(), w, driver, requests, 2*time.Second
	report, err := Run(t.Context(), o)
	if report == nil {
		return nil, err
	}
	return report.Run, err
}
