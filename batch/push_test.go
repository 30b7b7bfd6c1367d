package batch

import (
	"io"
	"net"
	"ringcached/internal/contract"
	"slices"
	"sync"
	"testing"
	"time"
)

// news is what connections of a channel are sent without having asked. Any goroutine may
// add to it.
type news struct {
	mu        sync.Mutex
	text      []byte
	listening []uint32
	read      map[uint32]int // bytes of text that the connection was sent
}

func (n *news) listen(conn uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = append(n.listening, conn)
	n.read[conn] = len(n.text)
}

func (n *news) leave(conn uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening = slices.DeleteFunc(n.listening, func(c uint32) bool { return c == conn })
}

func (n *news) has(conn uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.listening, conn)
}

func (n *news) add(text []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = append(n.text, text...)
}

func (n *news) pending() (list []uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.listening {
		if n.read[conn] < len(n.text) {
			list = append(list, conn)
		}
	}
	return list
}

func (n *news) push(conn uint32, out contract.Replies) (more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.read[conn] < len(n.text) && !out.Full() {
		room := out.Reserve(1000)
		k := copy(room[:cap(room)], n.text[n.read[conn]:])
		out.Commit(k)
		n.read[conn] += k
	}
	return n.read[conn] < len(n.text)
}

// TestPush: what a handler has to say unasked arrives, more than fits in a turn and more than
// a socket takes, however late it is read, and others are served meanwhile.
func TestPush(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, func(c *Config) { c.Threads = 1 })
		listener, other := s.dial(), s.dial()
		send(t, listener, "listen\n")
		expect(t, listener, "listen\n")
		text := pattern(5 << 20)
		s.news[0].add(text)
		s.Wake(0)
		for range 100 {
			send(t, other, "echo hello\n")
			expect(t, other, "hello\n")
		}
		expect(t, listener, string(text))
		s.news[0].add([]byte("last\n"))
		s.Wake(0)
		expect(t, listener, "last\n")
	})
}

// TestPushSparesListeners: who listens is not idle.
func TestPushSparesListeners(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.Threads, c.IdleTimeout = 1, time.Second })
		listener, silent := s.listener(t), s.dial()
		expectEnd(t, silent)
		s.news[0].add([]byte("still here\n"))
		s.Wake(0)
		expect(t, listener, "still here\n")
	})
}

// listener makes a connection that listens before it is closed for silence, however often
// that takes.
func (s *server) listener(t *testing.T) net.Conn {
	t.Helper()
	for range 20 {
		c := s.dial()
		got := make([]byte, len("listen\n"))
		_, _ = io.WriteString(c, "listen\n")
		if _, err := io.ReadFull(c, got); err == nil {
			return c
		}
	}
	t.Fatal("no connection lives long enough to listen")
	return nil
}
