package fakeserver

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
)

// Flaw changes the replies of a Server. It gets the number of the request among all gets and sets, from 1, and the right reply; it
// returns what is sent instead, and whether the connection is closed then.
type Flaw func(n int, reply []byte) (sent []byte, hangUp bool)

// Server is a small memcached: version, get, set, delete and some statistics.
type Server struct {
	listener net.Listener
	flaw     Flaw

	Mu       sync.Mutex
	Items    map[string][]byte
	flags    map[string]string // of items
	order    []string          // keys as they came, where room is limited
	Room     int               // items; 0: no limit
	evicted  int
	requests int
	Used     map[int]int // requests by the number of their connection
	accepted int
	conns    map[net.Conn]struct{}
}

// Start serves on a free port of 127.0.0.1 until the test ends; a nil flaw makes all replies right.
func Start(t *testing.T, f Flaw) *Server {
	t.Helper()
	return StartOn(t, "127.0.0.1:0", f)
}

// StartOn does so on an address, host:port or unix:PATH.
func StartOn(t *testing.T, addr string, f Flaw) *Server {
	t.Helper()
	network, at := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, at = "unix", path
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	return StartWith(t, l, f)
}

// StartWith does so on a listener, which it closes in the end.
func StartWith(t *testing.T, l net.Listener, f Flaw) *Server {
	t.Helper()
	s := &Server{
		listener: l, flaw: f, Items: make(map[string][]byte), flags: make(map[string]string), conns: make(map[net.Conn]struct{}),
		Used: make(map[int]int),
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.Mu.Lock()
			s.accepted++
			number := s.accepted
			s.conns[c] = struct{}{}
			s.Mu.Unlock()
			all.Go(func() {
				_ = s.serve(c, number)
				_ = c.Close()
				s.Mu.Lock()
				delete(s.conns, c)
				s.Mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		s.Close()
		all.Wait()
	})
	return s
}

func (s *Server) Addr() string {
	a := s.listener.Addr()
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// Close stops accepting and drops every connection, as a dying server does.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *Server) serve(c net.Conn, number int) error {
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
		reply, err := s.Reply(strings.Fields(line), in)
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
func (s *Server) count(connection int) int {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.requests++
	s.Used[connection]++
	return s.requests
}

func (s *Server) Reply(f []string, in io.Reader) ([]byte, error) {
	switch f[0] {
	case "version":
		return []byte("VERSION fake\r\n"), nil
	case "mn":
		return []byte("MN\r\n"), nil
	case "stats":
		return s.stats(f[1:]), nil
	case "delete":
		s.Mu.Lock()
		defer s.Mu.Unlock()
		delete(s.Items, f[1])
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
		s.Mu.Lock()
		defer s.Mu.Unlock()
		s.put(f[1], value)
		s.flags[f[1]] = f[2]
		return quiet(f, "STORED\r\n"), nil
	case "get":
		var b []byte
		s.Mu.Lock()
		defer s.Mu.Unlock()
		for _, key := range f[1:] {
			if v, ok := s.Items[key]; ok {
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
func (s *Server) put(key string, value []byte) {
	if _, there := s.Items[key]; !there && s.Room > 0 {
		for len(s.Items) >= s.Room {
			delete(s.Items, s.order[0])
			s.order = s.order[1:]
			s.evicted++
		}
		s.order = append(s.order, key)
	}
	s.Items[key] = value
}

// ItemHeader is what a Server says that it needs for an item beside its key and value, in bytes.
const ItemHeader = 50

// stats answers with a store of one class, number 7, of two pages of a thousand chunks of 1000 bytes.
func (s *Server) stats(group []string) []byte {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	size := 0
	for key, value := range s.Items {
		size += ItemHeader + len(key) + len(value) - len("\r\n")
	}
	var b []byte
	switch {
	case len(group) == 0:
		b = fmt.Appendf(b, "STAT curr_items %d\r\nSTAT evictions %d\r\nSTAT bytes %d\r\n", len(s.Items), s.evicted, size)
		b = append(b, "STAT hash_bytes 4096\r\nSTAT hash_is_expanding 0\r\nSTAT limit_maxbytes 1048576\r\n"...)
	case group[0] == "slabs":
		b = fmt.Appendf(b, "STAT 7:chunk_size 1000\r\nSTAT 7:chunks_per_page 1000\r\nSTAT 7:total_pages 2\r\n")
		b = fmt.Appendf(b, "STAT 7:used_chunks %d\r\nSTAT 7:free_chunks %d\r\n", len(s.Items), 2000-len(s.Items))
		b = append(b, "STAT 9:chunk_size 2000\r\nSTAT 9:chunks_per_page 500\r\nSTAT 9:total_pages 1\r\n"...)
		b = append(b, "STAT 9:used_chunks 0\r\nSTAT 9:free_chunks 500\r\n"...)
		b = append(b, "STAT active_slabs 2\r\nSTAT total_malloced 3145728\r\n"...)
	case group[0] == "items":
		b = fmt.Appendf(b, "STAT items:7:number %d\r\nSTAT items:7:mem_requested %d\r\n", len(s.Items), size)
	}
	return append(b, "END\r\n"...)
}

// Nth makes a flaw of every request from the n-th one on, counted without the 100 sets of the preload.
func Nth(n int, change func(reply []byte) ([]byte, bool)) Flaw {
	return func(i int, reply []byte) ([]byte, bool) {
		if i < 100+n {
			return reply, false
		}
		return change(reply)
	}
}

// AnswerAll is the address of a server that answers the first request of each connection like this.
func AnswerAll(t *testing.T, reply string) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err = bufio.NewReader(c).ReadString('\n'); err == nil {
				_, _ = c.Write([]byte(reply))
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}
