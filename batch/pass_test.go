package batch

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// loads is how many connections each channel has, sorted.
func (s *server) loads() (loads []int) {
	for _, ch := range s.channels {
		loads = append(loads, int(ch.load.Load()))
	}
	slices.Sort(loads)
	return loads
}

// TestFewConnectionsSpread: however few come, and wherever the kernel puts them, no channel has two more than another.
func TestFewConnectionsSpread(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for name, socket := range map[string]func(*Config){"tcp": func(*Config) {}, "unix": withUnix(t)} {
			t.Run(name, func(t *testing.T) {
				s := start(t, change, socket, func(c *Config) { c.Threads = 4 })
				// A ring has to be there before a direct descriptor can be sent to it.
				eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
				dial := func() net.Conn {
					if name == "unix" {
						return s.dialUnix()
					}
					return s.dial()
				}
				var conns []net.Conn
				for range 8 {
					c := dial()
					send(t, c, "echo in\n")
					expect(t, c, "in\n") // counted by now
					conns = append(conns, c)
				}
				if got := s.loads(); !slices.Equal(got, []int{2, 2, 2, 2}) {
					t.Fatalf("8 connections lie %v in 4 channels", got)
				}
				for _, c := range conns[:6] {
					_ = c.Close()
				}
				eventually(t, "they are gone", func() bool { return s.Stats().Conns == 2 })
				for range 6 {
					c := dial()
					send(t, c, "echo again\n")
					expect(t, c, "again\n")
				}
				if got := s.loads(); got[3] > 2 {
					t.Errorf("after others have come and gone 8 connections lie %v in 4 channels", got)
				}
				st := s.Stats()
				if st.LeastConns != 2 || st.MostConns != 2 || st.Conns != 8 || st.Accepted != 14 {
					t.Errorf("stats: %+v", st)
				}
			})
		}
	})
}

// TestConnectionsStay: with Config.Stay the kernel's choice holds.
func TestConnectionsStay(t *testing.T) {
	s := start(t, func(c *Config) { c.Threads, c.Stay = 8, true })
	for range 40 {
		c := s.dial()
		send(t, c, "echo in\n")
		expect(t, c, "in\n")
	}
	if n := s.Stats().Passed; n != 0 {
		t.Errorf("%d connections were passed on", n)
	}
}

// TestPassedConnectionsWork: what is special about a connection that another channel accepted is nothing.
func TestPassedConnectionsWork(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withUnix(t), func(c *Config) { c.Threads = 4 })
		var wg sync.WaitGroup
		for range 16 {
			c := s.dialUnix()
			wg.Go(func() {
				requests, replies := echoes(0, 100)
				go func() { _, _ = io.WriteString(c, requests+"ref 300000\nquit\n") }()
				expect(t, c, replies+string(pattern(300000))+"\n")
				expectEnd(t, c)
			})
		}
		wg.Wait()
		eventually(t, "all are gone", func() bool { return s.Stats().Conns == 0 })
		if got := s.loads(); !slices.Equal(got, []int{0, 0, 0, 0}) {
			t.Errorf("channels still count %v connections", got)
		}
	})
}

// TestStopWhilePassing stops a server while connections come and are passed on: each of them ends.
func TestStopWhilePassing(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for range 3 {
			s := start(t, change, func(c *Config) { c.Threads = 4 })
			addr := s.Addrs()[0].String()
			var wg sync.WaitGroup
			halfway := make(chan struct{})
			for i := range 4 {
				wg.Go(func() {
					for n := range 50 {
						if i == 0 && n == 10 {
							close(halfway)
						}
						c, err := net.Dial("tcp", addr)
						if err != nil {
							return // it has stopped
						}
						_ = c.SetDeadline(time.Now().Add(30 * time.Second))
						defer func() {
							expectEnd(t, c)
							_ = c.Close()
						}()
					}
				})
			}
			<-halfway
			s.stop()
			wg.Wait()
		}
	})
}

// TestWhoPassesOn goes through what decides whether a connection is passed on, and to whom.
func TestWhoPassesOn(t *testing.T) {
	for _, test := range []struct {
		name  string
		loads []int32 // of the channels, the first of which has accepted a connection
		left  int
		want  int // index of the channel that gets it
	}{
		{"the first", []int32{0, 0, 0, 0}, 0, 0},
		{"the second", []int32{1, 0, 0, 0}, 0, 1},
		{"the fewest", []int32{3, 2, 1, 2}, 0, 2},
		{"as few as the others", []int32{2, 2, 2, 2}, 0, 0},
		{"fewer than the average", []int32{1, 9, 0, 9}, 0, 0},
		{"about as few", []int32{265, 250, 251, 252}, 0, 0},
		{"noticeably more", []int32{266, 250, 251, 252}, 0, 1},
		{"many that end", []int32{5, 0, 0, 0}, passChurn, 1},
		{"too many that end", []int32{5, 0, 0, 0}, passChurn + 1, 0},
	} {
		s := &Server{}
		for _, n := range test.loads {
			ch := &channel{server: s, config: &s.config, engine: &epollEngine{}, wakeFD: -1, left: test.left}
			ch.load.Store(n)
			s.conns.Add(int64(n))
			s.channels = append(s.channels, ch)
		}
		s.conns.Add(1)
		passed := s.channels[0].passOn(arrival{fd: 77})
		if passed != (test.want != 0) {
			t.Errorf("%s: passed on: %v", test.name, passed)
		}
		for i, ch := range s.channels {
			in, counted := ch.inbox.take(), ch.load.Load()-test.loads[i]
			if got := passed && i == test.want; (len(in) == 1) != got || (counted == 1) != got {
				t.Errorf("%s: channel %d has %v, and %d more are counted", test.name, i, in, counted)
			}
		}
	}
}

// TestInboxShuts: who has ended takes nothing, and who has something does not end.
func TestInboxShuts(t *testing.T) {
	s := &Server{}
	for range 2 {
		s.channels = append(s.channels, &channel{server: s, config: &s.config, engine: &epollEngine{}, wakeFD: -1})
	}
	from, to := s.channels[0], s.channels[1]
	from.load.Store(1)
	s.conns.Store(2)
	if !from.passOn(arrival{fd: 77}) || to.inbox.shut() {
		t.Error("an inbox was shut over a connection")
	}
	to.inbox.take()
	if !to.inbox.shut() {
		t.Error("an empty inbox was not shut")
	}
	to.load.Store(0)
	if from.passOn(arrival{fd: 78}) || to.load.Load() != 0 || len(to.inbox.take()) != 0 {
		t.Error("a connection was passed on to a channel that has ended")
	}
}
