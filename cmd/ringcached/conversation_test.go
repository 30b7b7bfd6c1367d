package main

import (
	"crypto/tls"
	"net"
	"testing"

	"ringcached/internal/conversation"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// TestConversations holds the protocol's conversations with the real server, in
// every engine: whole, cut into single bytes, and with everything pipelined. With the race detector requests are not whole.
func TestConversations(t *testing.T) {
	scripts, err := conversation.Load("../../proto/testdata")
	if err != nil {
		t.Fatal(err)
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, script := range scripts {
			modes := []conversation.Mode{conversation.Whole, conversation.Split, conversation.Pipelined}
			if servertest.Race {
				modes = modes[1:]
			}
			for _, mode := range modes {
				t.Run(script.Name+"/"+mode.String(), func(t *testing.T) {
					t.Parallel()
					server := servertest.Start(t, engine, append([]string{"-t", "1"}, script.Flags...)...)
					script.RunConn(t, func() net.Conn { return server.Dial(t) }, mode)
				})
			}
		}
	})
}

// TestConversationsOverTLS is TestConversations over TLS: 1.2 with epoll and 1.3 with uring, since what opens and seals records is the same in both.
// With the race detector, which makes handshakes slow, requests are only pipelined, to uring.
func TestConversationsOverTLS(t *testing.T) {
	scripts, err := conversation.Load("../../proto/testdata")
	if err != nil {
		t.Fatal(err)
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		certificate := servertest.NewCertificate(t, "ringcached")
		config := certificate.Client(false)
		if config.MaxVersion = tls.VersionTLS13; engine == "epoll" {
			config.MaxVersion = tls.VersionTLS12
		}
		for _, script := range scripts {
			if script.Name == "without_tls" {
				continue
			}
			modes := []conversation.Mode{conversation.Whole, conversation.Split, conversation.Pipelined}
			switch {
			case servertest.Race && engine == "epoll":
				modes = nil
			case servertest.Race:
				modes = modes[2:]
			}
			for _, mode := range modes {
				t.Run(script.Name+"/"+mode.String(), func(t *testing.T) {
					t.Parallel()
					server := servertest.Start(t, engine, certificate.Flags(append([]string{"-t", "1"}, script.Flags...)...)...)
					script.RunTLS(t, func() net.Conn { return server.Dial(t) }, config, mode)
				})
			}
		}
	})
}

// TestConversationsOfVariants: a kernel with fewer features, other batch sizes and
// hardly any buffers change how the engine works and nothing of what it answers.
// Requests are pipelined, and whole with hardly any buffers. With the race detector there is only the variant with several threads.
func TestConversationsOfVariants(t *testing.T) {
	servertest.NeedURing(t)
	scripts, err := conversation.Load("../../proto/testdata")
	if err != nil {
		t.Fatal(err)
	}
	polled := []string{"--sqpoll", "1ms"}
	if fs, err := ring.Probe(); err == nil && fs.Has(ring.BusyPolling) && servertest.Features() == "" {
		polled = append(polled, "--busy-poll", "10us") // else the server refuses to start
	}
	for name, flags := range map[string][]string{
		"kernel 5.19":  {"--ring-features", "5.19"},
		"kernel 6.0":   {"--ring-features", "6.0"},
		"kernel 6.1":   {"--ring-features", "6.1"},
		"direct":       {"--direct-descriptors"},
		"unbatched":    {"--batch-depth", "1"},
		"gathering":    {"--batch-wait", "auto", "--batch-timeout", "200us"},
		"waiting":      {"--batch-wait", "8", "--batch-timeout", "200us"},
		"tiny buffers": {"--ring-buffers", "3", "--ring-buffer-size", "64"},
		"pinned":       {"--cpu-affinity"},
		"steered":      {"--cpu-affinity", "--cpu-steering"},
		"polled":       polled,
		"passed on":    {"-t", "3"},
	} {
		if servertest.Race && name != "passed on" {
			continue
		}
		for _, script := range scripts {
			if script.Name == "expiry" || script.Name == "flush" { // they take seconds, and are about the store
				continue
			}
			t.Run(name+"/"+script.Name, func(t *testing.T) {
				t.Parallel()
				modes := []conversation.Mode{conversation.Pipelined}
				if name == "tiny buffers" {
					modes = append(modes, conversation.Whole)
				}
				for _, mode := range modes {
					server := servertest.Start(t, "uring", append(flags[:len(flags):len(flags)], script.Flags...)...)
					script.RunConn(t, func() net.Conn { return server.Dial(t) }, mode)
				}
			})
		}
	}
}
