package robustness

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestKilledClients resets and closes connections at every point of a request.
func TestKilledClients(t *testing.T) {
	big := strings.Repeat("x", 1000000)
	small := strings.Repeat("y", 100)
	leave := []struct {
		name string
		said string
		read int // bytes of the reply to take before leaving
	}{
		{"silent", "", 0},
		{"in a command", "get bi", 0},
		{"in a small value", "set cut 0 0 100\r\n" + small[:50], 0},
		{"in a large value", "set cut-big 0 0 1000000\r\n" + big[:300000], 0},
		{"in a swallowed value", "set too-big 0 0 9000000\r\n" + big[:300000], 0},
		{"before a reply", "get small\r\n", 0},
		{"before a large reply", "get big\r\n", 0},
		{"in a large reply", "get big\r\n", 5000},
		{"in many large replies", strings.Repeat("get big\r\n", 30), 5000},
		{"in many small replies", strings.Repeat("get small\r\n", 10000), 500},
		{"in a multiget", "get" + strings.Repeat(" small big", 50) + "\r\n", 100},
		{"in a large value and large replies", strings.Repeat("get big\r\n", 10) + "set cut-big 0 0 1000000\r\n" + big[:200000], 100},
	}
	eachTransport(t, func(t *testing.T, on transport) {
		server := on.start(t, "-t", "2")
		c := mustDial(t, server)
		if err := errors.Join(c.set("big", big), c.set("small", small)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		before := rest(t, server)
		for round := range 10 {
			for _, l := range leave {
				c, err := dial(server)
				if err != nil {
					t.Fatal(err)
				}
				// A server that has stopped reading must not hold up the test.
				_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
				_, _ = io.WriteString(c, l.said)
				_ = c.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.ReadFull(c.in, make([]byte, l.read)); err != nil {
					t.Errorf("%s: %v", l.name, err)
				}
				if round%2 == 0 {
					c.reset()
				} else {
					c.Close()
				}
			}
		}
		expectNoLeak(t, server, before, "big", "small")
	})
}

// TestHalfClosed: a client that has said all it wants to say gets all answers,
// and then the end.
func TestHalfClosed(t *testing.T) {
	big := strings.Repeat("x", 500000)
	eachTransport(t, func(t *testing.T, on transport) {
		server := on.start(t)
		before := rest(t, server)
		c := mustDial(t, server)
		if err := c.set("big", big); err != nil {
			t.Fatal(err)
		}
		c.Close()
		for _, test := range []struct{ said, want string }{
			{"", ""},
			{"get no", ""},
			{"nonsense\r\n", "ERROR\r\n"},
			{"get none\r\nget big\r\nget none\r\n", "END\r\n" + getReply("big", big) + "END\r\n"},
			{strings.Repeat("get big\r\n", 40), strings.Repeat(getReply("big", big), 40)},
			{strings.Repeat("get none\r\n", 5000), strings.Repeat("END\r\n", 5000)},
			{setRequest("big", big), "STORED\r\n"},
			{"set half 0 0 500000\r\n" + big[:1000], ""},
		} {
			c := mustDial(t, server)
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = c.say(test.said)
				_ = c.closeWrite()
			})
			_ = c.SetReadDeadline(time.Now().Add(patience))
			got, err := io.ReadAll(c.in)
			if string(got) != test.want || err != nil {
				t.Errorf("%.40q: %d bytes, %.40q, %v; want %d bytes", test.said, len(got), got, err, len(test.want))
			}
			wg.Wait()
			c.Close()
		}
		expectNoLeak(t, server, before, "big")
	})
}

// TestShortConnections opens and closes many connections, some from each end.
func TestShortConnections(t *testing.T) {
	const workers = 8
	eachTransport(t, func(t *testing.T, on transport) {
		connections := 20000
		if servertest.Slow > 1 {
			connections /= 5
		}
		if on.certificate != nil { // each takes a handshake
			connections /= 5
		}
		server := on.start(t, "-t", "2")
		before := rest(t, server)
		failures := make(chan error, workers)
		for id := range workers {
			go func() { failures <- comeAndGo(server, id, connections/workers) }()
		}
		for range workers {
			if err := <-failures; err != nil {
				t.Error(err)
			}
		}
		if n := server.Stat(t, "total_connections"); n < connections {
			t.Errorf("total_connections %d", n)
		}
		var keys []string
		for id := range workers {
			keys = append(keys, fmt.Sprintf("short-%d", id))
		}
		expectNoLeak(t, server, before, keys...)
	})
}

func comeAndGo(server *servertest.Server, id, times int) error {
	key := fmt.Sprintf("short-%d", id)
	for i := range times {
		c, err := dial(server)
		if err != nil {
			return err
		}
		value := fmt.Sprint("value ", i)
		if err := errors.Join(c.set(key, value), c.get(key, value)); err != nil {
			return err
		}
		switch i % 3 {
		case 0:
			c.Close()
		case 1:
			c.reset()
		case 2:
			if err := errors.Join(c.say("quit\r\n"), expectEOF(c)); err != nil {
				return err
			}
		}
	}
	return nil
}

func expectEOF(c *client) error {
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if b, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%q, %w; want the end", b, err)
	}
	return nil
}
