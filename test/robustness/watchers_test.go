package robustness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestWatcherThatNeverReads: the server goes on as if it were not there, keeps no more than its buffer for it, and tells
// it afterwards how much it missed.
func TestWatcherThatNeverReads(t *testing.T) {
	eachTransport(t, func(t *testing.T, on transport) {
		server := on.start(t, "-t", "2", "-o", "watcher_logbuf_size=64", "--send-timeout", "1h")
		warm(t, server)
		resident := server.Resident(t)
		watcher := mustDial(t, server)
		_ = watcher.tcp.SetReadBuffer(16 << 10)
		if err := watcher.say("watch fetchers\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := watcher.expect("OK\r\n"); err != nil {
			t.Fatal(err)
		}
		c := mustDial(t, server)
		for range 300 {
			if err := c.say(strings.Repeat("get a-key-of-some-length-so-that-the-lines-are-long\r\n", 1000)); err != nil {
				t.Fatal(err)
			}
			if err := c.expect(strings.Repeat("END\r\n", 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if n := server.Stat(t, "log_watcher_skipped"); n == 0 {
			t.Error("nothing was skipped")
		}
		if grown := server.Resident(t) - resident; grown > 16<<20 && servertest.Slow == 1 {
			t.Errorf("the server has grown by %d bytes", grown)
		}
		if err := readSkipped(watcher, c); err != nil {
			t.Error(err)
		}
	})
}

// readSkipped reads a watcher's lines until one says what it missed, while c goes on.
func readSkipped(watcher, c *client) error {
	deadline := time.Now().Add(30 * time.Second * servertest.Slow)
	_ = watcher.SetReadDeadline(deadline)
	done := make(chan struct{})
	defer func() { <-done }()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = c.say("get a\r\n")
				_ = c.expect("END\r\n")
			}
		}
	}()
	for {
		line, err := watcher.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("never told: %w", err)
		}
		if strings.HasPrefix(line, "skipped=") {
			return nil
		}
	}
}
