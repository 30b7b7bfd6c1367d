package robustness

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestClientsThatNeverRead: they are closed after the send timeout and counted,
// the memory that they hold is bounded, and others do not notice them.
func TestClientsThatNeverRead(t *testing.T) {
	for _, kind := range []struct{ name, request string }{
		{"large", "get big\r\n"},
		{"small", "get small\r\n"},
	} {
		t.Run(kind.name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, on transport) {
				testNeverReads(t, on, kind.request)
			})
		})
	}
}

func testNeverReads(t *testing.T, on transport, request string) {
	const stuck = 20
	allowed := 1 << 20
	if on.engine == "uring" && servertest.Features() == "6.0" {
		// Multishot receives without deferred task running go on while the channel handles what
		// they brought: a client's input may be the whole receive pool before they are cancelled.
		allowed = 3 << 20
	}
	server := on.start(t, "-t", "2", "--send-timeout", "2s")
	c := mustDial(t, server)
	if err := errors.Join(c.set("big", strings.Repeat("x", 1000000)), c.set("small", "small value")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	before, resident := rest(t, server), server.Resident(t)
	for range stuck {
		go flood(mustDial(t, server), request)
	}
	time.Sleep(time.Second)
	grown := server.Resident(t) - resident
	t.Logf("%d clients that do not read hold %d KiB each", stuck, grown/stuck>>10)
	if grown > stuck*allowed && servertest.Slow == 1 {
		t.Errorf("%d clients that do not read hold %d MiB, at most %d MiB each is allowed", stuck, grown>>20, allowed>>20)
	}
	other := mustDial(t, server)
	start := time.Now()
	if err := other.get("small", "small value"); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second*servertest.Slow {
		t.Errorf("another client waited %v", took)
	}
	other.Close()
	servertest.Eventually(t, 20*time.Second, func() error {
		if n := server.Stat(t, "send_timeouts", "batch"); n < stuck {
			return fmt.Errorf("send_timeouts %d", n)
		}
		return nil
	})
	expectNoLeak(t, server, before, "big", "small")
}

// flood sends requests until the server takes no more and closes.
func flood(c *client, request string) {
	batch := strings.Repeat(request, 1000)
	for range 1000 {
		if _, err := io.WriteString(c, batch); err != nil {
			return
		}
	}
}

// TestUploadsThatStall: memory for values that never arrive whole is given back.
func TestUploadsThatStall(t *testing.T) {
	eachTransport(t, func(t *testing.T, on transport) {
		server := on.start(t)
		before := rest(t, server)
		var clients []*client
		for i := range 30 {
			c := mustDial(t, server)
			if err := c.say(fmt.Sprintf("set stalled-%d 0 0 900000\r\nbeginning", i)); err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		other := mustDial(t, server)
		if err := other.set("other", "value"); err != nil {
			t.Error(err)
		}
		other.Close()
		for _, c := range clients {
			c.Close()
		}
		expectNoLeak(t, server, before, "other")
	})
}
