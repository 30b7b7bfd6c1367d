package batch

import (
	"io"
	"strings"
	"testing"

	"ringcached/ring"
)

// TestWithoutEachFeature: every feature of the kernel can be switched off by itself, and what
// the engine does instead answers the same: streams, datagrams, and replies that are not taken.
func TestWithoutEachFeature(t *testing.T) {
	fs, err := ring.Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range fs.Results() {
		t.Run(without.Name, func(t *testing.T) {
			s := start(t, withDatagrams, func(c *Config) {
				c.Engine, c.Direct, c.Wait = EngineURing, true, 2
				c.Allow &^= without.Feature
			})
			eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
			if s.Engine().Features.Has(without.Feature) {
				t.Error("it is used all the same")
			}
			c := s.dial()
			requests, replies := echoes(0, 500)
			send(t, c, requests)
			expect(t, c, replies)

			const n = 500
			go func() { _, _ = io.WriteString(c, strings.Repeat("copy 5000\nref 50000\n", n)) }()
			eventually(t, "a backlog", func() bool { return s.Stats().BacklogBytes > 0 })
			want := string(pattern(5000)) + "\n" + string(pattern(50_000)) + "\n"
			for range n {
				expect(t, c, want)
			}

			udp := dialDatagram(t, s.DatagramAddrs()[0])
			if got := ask(t, udp, 1, "echo hello\n"); got != "hello\n" {
				t.Errorf("got %q", got)
			}
			send(t, c, "quit\n")
			expectEnd(t, c)
		})
	}
}
