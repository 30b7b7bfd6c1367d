package batch

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/ring"
)

func TestConversation(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		for range 3 {
			send(t, c, "echo hello\n")
			expect(t, c, "hello\n")
		}
		for i := range "echo split\n" { // a byte at a time
			send(t, c, "echo split\n"[i:i+1])
			time.Sleep(time.Millisecond)
		}
		expect(t, c, "split\n")
		send(t, c, "echo last\nquit\necho never\n")
		expect(t, c, "last\n")
		expectEnd(t, c)
		st := s.Stats()
		written := uint64(3*6 + 6 + 5)
		if s.isTLS(0) && !s.sealedByKernel(tls.VersionTLS13) {
			written += sealing(5)
			// What sealing adds to the last reply is published an iteration later than the reply.
			eventually(t, "all that was sealed is counted", func() bool { st = s.Stats(); return st.BytesWritten == written })
		}
		if st.Accepted != 1 || st.BytesRead == 0 || st.BytesWritten != written {
			t.Errorf("stats: %+v", st)
		}
		// The channel publishes its counts once in an iteration, and those of the last one when something happens again: at a tick.
		eventually(t, "the histograms hold what is counted", func() bool {
			st := s.Stats()
			agrees := true
			for name, counted := range map[string]struct {
				sizes Histogram
				most  uint64
			}{"sends": {st.SendSizes, st.Sends}, "batches": {st.ReapSizes, st.Batches}, "enters": {st.SubmitSizes, st.Enters}} {
				var n uint64
				for _, count := range counted.sizes {
					n += count
				}
				if n > counted.most+1 || name != "enters" && n+1 < counted.most {
					t.Logf("%d %s, %d in the histogram", counted.most, name, n)
					agrees = false
				}
			}
			return agrees
		})
	})
}

// TestBusyPollRefused: what was asked for and can't be had is an error that says so.
func TestBusyPollRefused(t *testing.T) {
	c := DefaultConfig()
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	c.Engine, c.BusyPoll = EngineURing, time.Microsecond
	c.Allow, _ = ring.ParseFeatures("6.8")
	s, err := New(c, func(int) contract.Handler { return &lines{t: t} })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "busy polling: not supported (requires >= 6.9") {
		t.Errorf("Serve: %v", err)
	}
}

func TestPipelining(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		var wg sync.WaitGroup
		for range 10 {
			c := s.dial()
			wg.Go(func() {
				for round := range 20 {
					requests, replies := echoes(round*1000, 1+rand.IntN(500))
					go func() { _, _ = io.WriteString(c, requests) }()
					expect(t, c, replies)
				}
			})
		}
		wg.Wait()
	})
}

// TestPrefetch: of inputs that come together the handler sees several before it is given the first.
func TestPrefetch(t *testing.T) {
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, func(c *Config) { c.Threads = 1 })
		conns := make([]net.Conn, 3*contract.PrefetchMax)
		for i := range conns {
			conns[i] = s.dial()
		}
		try := 0
		eventually(t, "inputs are prefetched", func() bool {
			try++
			for i, c := range conns {
				send(t, c, fmt.Sprintf("echo %d-%d\n", try, i))
			}
			for i, c := range conns {
				expect(t, c, fmt.Sprintf("%d-%d\n", try, i))
			}
			return s.foreseen.Load() >= contract.PrefetchMax
		})
	})
}

func TestRepliesOfAllSizes(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		for _, n := range []string{"0", "1", "16384", "65536", "300000", "4000000"} {
			send(t, c, "copy "+n+"\nref "+n+"\necho end\n")
			size := 0
			for _, d := range n {
				size = size*10 + int(d-'0')
			}
			want := string(pattern(size)) + "\n"
			expect(t, c, want+want+"end\n")
		}
	})
}

func TestManySegments(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		const n = 3000
		go func() { _, _ = io.WriteString(c, strings.Repeat("ref 10\n", n)) }()
		expect(t, c, strings.Repeat(string(pattern(10))+"\n", n))
	})
}

// TestLongRequest: a request may be as long as PartialMax, in pieces. A longer one ends its connection.
func TestLongRequest(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		word := string(pattern(contract.PartialMax - len("echo \n")))
		for range 3 {
			if err := cutUp(c, "echo short\necho "+word+"\necho short\n"); err != nil {
				t.Fatal(err)
			}
			expect(t, c, "short\n"+word+"\nshort\n")
		}
		go func() { _, _ = io.WriteString(c, strings.Repeat("endless", contract.PartialMax)) }()
		expectEnd(t, c)
	})
}

// TestClientThatDoesNotRead pipelines far more replies than any buffer holds, and
// reads them only afterwards: nothing may be lost, and the server's memory is bounded.
func TestClientThatDoesNotRead(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		const n = 5000
		go func() {
			_, _ = io.WriteString(c, strings.Repeat("copy 5000\nref 5000\necho x\n", n))
		}()
		eventually(t, "a send queue", func() bool { return s.Stats().SendQueueBytes > 0 })
		time.Sleep(50 * time.Millisecond)
		if st := s.Stats(); st.SendQueueBytes > 2*replyLimit {
			t.Errorf("send queue of %d bytes for one connection", st.SendQueueBytes)
		}
		other := s.dial() // others are served meanwhile
		send(t, other, "echo other\n")
		expect(t, other, "other\n")
		one := string(pattern(5000)) + "\n"
		for range n {
			expect(t, c, one+one+"x\n")
		}
		// The server learns of the end of its last send after the client has read it.
		eventually(t, "nothing is kept for the client", func() bool {
			st := s.Stats()
			return st.SendQueueBytes == 0 && st.InputBufferBytes == 0 && st.BuffersOut == 0
		})
		// Over TLS such replies become a send queue without being tried.
		if st := s.Stats(); st.ShortSends+st.ZeroCopySends == 0 && !s.isTLS(0) {
			t.Errorf("after all was read: %+v", st)
		}
	})
}

func TestSlowClientIsClosed(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.SendTimeout = time.Second })
		c := s.dial()
		go func() { _, _ = io.WriteString(c, strings.Repeat("ref 1000000\n", 100)) }()
		eventually(t, "the slow client is closed", func() bool { return s.Stats().SendTimeouts == 1 })
		eventually(t, "its connection is gone", func() bool { return s.Stats().Conns == 0 })
		eventually(t, "its references are released", func() bool { return s.refs.Load() == 0 })
	})
}

func TestHalfClose(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		requests, replies := echoes(0, 300)
		send(t, c, requests+"copy 3000000\necho unfinished")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		expect(t, c, replies+string(pattern(3000000))+"\n")
		expectEnd(t, c)
	})
}

func TestKilledClients(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change)
		for i := range 200 {
			c := s.dial()
			switch i % 4 {
			case 0: // in the middle of a request
				send(t, c, "echo unfin")
			case 1: // with replies unread
				send(t, c, strings.Repeat("ref 1000000\n", 20))
			case 2: // with requests unread
				send(t, c, strings.Repeat("turn\n", 1000))
			}
			if i%8 < 4 {
				_ = c.tcp.SetLinger(0) // reset
			}
			_ = c.Close()
		}
		eventually(t, "all connections are gone", func() bool { return s.Stats().Conns == 0 && s.Stats().Accepted == 200 })
		eventually(t, "all references are released", func() bool { return s.refs.Load() == 0 })
	})
}

func TestConnectionLimit(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, func(c *Config) { c.MaxConns = 3 })
		var conns []net.Conn
		for range 3 {
			c := s.dial()
			send(t, c, "echo in\n")
			expect(t, c, "in\n")
			conns = append(conns, c)
		}
		for range 5 {
			s.wantRefused()
		}
		_ = conns[0].Close()
		eventually(t, "a place is free", func() bool { return s.Stats().Conns == 2 })
		c := s.dial()
		send(t, c, "echo again\n")
		expect(t, c, "again\n")
		if st := s.Stats(); st.Rejected != 5 || st.Accepted != 4 {
			t.Errorf("rejected %d, accepted %d; want 5 and 4", st.Rejected, st.Accepted)
		}
	})
}

func TestShortConnections(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		const clients, each = 8, 60
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range each {
					c := s.dial()
					_, _ = io.WriteString(c, "echo short\nquit\n")
					if got, err := io.ReadAll(c); string(got) != "short\n" {
						t.Errorf("got %q, %v", got, err)
					}
					_ = c.Close()
				}
			})
		}
		wg.Wait()
		eventually(t, "all connections are gone", func() bool { return s.Stats().Conns == 0 })
		if n := s.Stats().Accepted; n != clients*each {
			t.Errorf("accepted %d, want %d", n, clients*each)
		}
	})
}

// TestFairness has one connection flood the server while another one asks: the other
// must be answered long before the flood is over.
func TestFairness(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, func(c *Config) { c.Threads = 1 })
		flood, other := s.dial(), s.dial()
		answered := make(chan struct{})
		var sent atomic.Int64
		go func() {
			defer func() { _ = flood.CloseWrite() }()
			for requests := strings.Repeat("echo x\n", 10_000); ; {
				select {
				case <-answered:
					return
				default:
				}
				_ = flood.SetWriteDeadline(time.Now().Add(answerTime))
				n, err := io.WriteString(flood, requests)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for buf, err := make([]byte, 64<<10), error(nil); err == nil; {
				_ = flood.SetReadDeadline(time.Now().Add(answerTime))
				_, err = flood.Read(buf)
			}
		}()
		eventually(t, "the flood has begun", func() bool { return sent.Load() > 0 })
		for range 20 { // each as long as the flood goes on
			send(t, other, "echo other\n")
			expect(t, other, "other\n")
		}
		close(answered)
		<-ended
		st, tls := s.Stats(), uint64(0)
		if s.isTLS(0) {
			tls = sealing(st.TLSRecordsIn)
		}
		if st.BytesRead != uint64(sent.Load())+20*11+tls {
			t.Errorf("%d bytes of the flood were sent, %d read in all, of which %d are TLS's", sent.Load(), st.BytesRead, tls)
		}
	})
}

// TestTinyBufferPool has far more connections send at once than there are buffers.
func TestTinyBufferPool(t *testing.T) {
	s := start(t, func(c *Config) { c.Engine, c.Buffers, c.Threads = EngineURing, 8, 1 })
	var conns []net.Conn
	for range 200 {
		conns = append(conns, s.dial())
	}
	requests, replies := echoes(0, 400)
	for range 5 {
		for _, c := range conns {
			send(t, c, requests)
		}
		for _, c := range conns {
			expect(t, c, replies)
		}
	}
	st := s.Stats()
	if st.NoBuffers == 0 {
		t.Error("the pool never ran empty: the test did not test what it should")
	}
	if st.NoBuffers > st.Receives {
		t.Errorf("%d receives without a buffer for %d with one: it spins", st.NoBuffers, st.Receives)
	}
}

func TestStopAnswersWhatWasReceived(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		var conns []net.Conn
		for range 20 {
			c := s.dial()
			send(t, c, "echo warm\n")
			expect(t, c, "warm\n")
			conns = append(conns, c)
		}
		requests, replies := echoes(0, 1000)
		for _, c := range conns {
			send(t, c, requests+"copy 1000000\n")
			arrived(t, c)
		}
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				expect(t, c, replies+string(pattern(1000000))+"\n")
				expectEnd(t, c)
			})
		}
		s.stop()
		wg.Wait()
	})
}

func TestResetStats(t *testing.T) {
	s := start(t)
	c := s.dial()
	send(t, c, "echo a\n")
	expect(t, c, "a\n")
	s.ResetStats()
	if st := s.Stats(); st.BytesRead != 0 || st.Accepted != 0 || st.Conns != 1 {
		t.Errorf("after a reset: %+v", st)
	}
	send(t, c, "echo b\n")
	expect(t, c, "b\n")
	if st := s.Stats(); st.BytesRead != 7 {
		t.Errorf("%d bytes read after the reset, want 7", st.BytesRead)
	}
}

// TestFlushNumbersWrap serves, and ends connections, across the wrap of the numbers that
// flushes have.
func TestFlushNumbersWrap(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for _, first := range []uint32{1<<31 - 20, 1<<32 - 20} {
			s := prepare(t, change)
			for _, ch := range s.channels {
				ch.flushes, ch.settled = first, first
			}
			s.run()
			for range 100 {
				c := s.dial()
				_ = c.Close() // never answered
				c = s.dial()
				send(t, c, "echo x\nquit\n")
				expect(t, c, "x\n")
				expectEnd(t, c)
			}
			eventually(t, "all connections are gone", func() bool { return s.Stats().Conns == 0 })
			s.stop()
		}
	})
}
