package batch

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"ringcached/internal/contract"
)

// slow is a Handler whose requests take long, those that begin with 'l' excepted.
type slow struct {
	*lines
	turns map[uint32]int
}

func (h *slow) Data(conn uint32, in []byte, out contract.Replies) (int, contract.Next) {
	h.turns[conn]++
	if in[0] == 'l' {
		out.Commit(copy(out.Reserve(1)[:1], "x"))
		return len(in), contract.More
	}
	time.Sleep(batchTime / 4)
	return 0, contract.Yield
}

// TestSlowRequestsEndABatch: however much there is to do for others, a batch ends, and one that has little to ask comes in the next.
func TestSlowRequestsEndABatch(t *testing.T) {
	const many = 200
	h := &slow{lines: &lines{}, turns: map[uint32]int{}}
	ch := &channel{conns: newConnTable(testAccount().of.mapMemory), handler: h, engine: lazyEngine{}, config: &Config{}, allowed: &allowances[0]}
	ch.memory = *testAccount()
	ch.blocks.memory, ch.inputBuffers.blocks = &ch.memory, &ch.blocks
	var err error
	if ch.out, err = newOutput(&ch.memory, batchLimit); err != nil {
		t.Fatal(err)
	}
	for i := range int32(many) {
		ch.received(ch.conns.take(i), []byte("much"))
	}
	if n := len(h.turns); n > 2*paceQuanta+8 { // which is when it is noticed, and what a batch lasts
		t.Errorf("%d connections had turns in one batch", n)
	}
	for len(h.turns) < many { // all have shown what they are
		ch.pace = pace{}
		ch.runModest()
	}
	for !ch.pace.late {
		ch.runReady()
	}
	little := ch.conns.take(many)
	ch.received(little, []byte("little"))
	if h.turns[little.slot] != 0 {
		t.Fatal("a batch that has lasted long goes on")
	}
	ch.pace = pace{}
	ch.runModest()
	if h.turns[little.slot] != 1 {
		t.Error("one that asks for little has no turn at the beginning of the next batch")
	}
	ch.pace = pace{}
	clear(h.turns)
	if ch.runReady(); len(h.turns) == 0 || len(h.turns) > 2*paceQuanta+8 {
		t.Errorf("%d of those that have much to ask had turns in the next batch", len(h.turns))
	}
}

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

// TestPush: what a handler has to say unasked arrives, more than fits in an iteration and more than
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
