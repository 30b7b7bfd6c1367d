package batch

import (
	"net"
	"testing"
	"time"
	"unsafe"

	"ringcached/internal/contract"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// pieces is a Handler whose Room is in several pieces.
type pieces struct {
	contract.Handler
	room [][]byte
}

func (p pieces) UploadBuffer(_ uint32, parts [][]byte) [][]byte {
	return append(parts, p.room[:min(len(p.room), cap(parts))]...)
}

// TestUploadNamesNoMessage: a receive into memory in pieces must not be a recvmsg whose msghdr lies where
// replies are composed, since the kernel writes to it when it completes.
func TestUploadNamesNoMessage(t *testing.T) {
	room := [][]byte{make([]byte, 4000), make([]byte, 4000)}
	ch := &channel{conns: newConnTable(testAccount().of.mapMemory), handler: pieces{room: room}, parts: make([][]byte, 0, uploadParts)}
	defer ch.conns.close()
	var got, want ring.SQE
	(&uringEngine{ch: ch}).prepReceive(&got, ch.conns.take(5), recvUpload, true)
	want.PrepRecvInto(5, unsafe.Pointer(&room[0][0]), 4000, true)
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// crowded is a Handler that ends a connection when it has a part of its upload.
type crowded struct{ contract.Handler }

func (crowded) UploadAdvance(uint32, int, contract.Replies) contract.Next { return contract.Crowded }
func (crowded) Unwanted(end func(conn uint32, idle, sure bool) bool)      { end(0, false, true) }
func (crowded) Closed(uint32, contract.Reason)                            {}

// TestKilledWhileSending: a connection that is ended while its replies are being sent, and whose receive was about to start again, gets
// none: it would keep the descriptor open for as long as the peer likes.
func TestKilledWhileSending(t *testing.T) {
	servertest.NeedURing(t)
	for name, f := range map[string]func(*uringEngine, *conn){
		"by its upload": func(e *uringEngine, c *conn) {
			c.toReceive(recvUpload)
			e.uploadReceived(c.token(kindRecvUpload), &ring.CQE{Res: 10})
		},
		"by another's": func(e *uringEngine, c *conn) {
			e.receiveSoon(c, false)
			e.ch.endUnwanted()
		},
		"without a buffer": func(e *uringEngine, c *conn) {
			e.noBuffer = append(e.noBuffer, c.token(kindNone))
			e.ch.kill(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ch, c := unserved(t, EngineURing)
			ch.handler = crowded{}
			c.sendQueue = ch.sendQueues.lend(newSendQueue(c, ch.second))
			c.toSend(sendQueued)
			c.toSend(sendDraining)
			e := ch.engine.(*uringEngine)
			f(e, c)
			e.armAgain()
			if c.life != lifeReleasing || c.receive != recvNone {
				t.Errorf("%v, with a %v", c.life, c.receive)
			}
		})
	}
}

// parkAlways as Config.ParkAfter makes prepare take a parker for the Handler.
const parkAlways = maxParkAfter

// parker is a lines that at the end of every batch parks every connection, so that whatever a connection does meets a receive that is
// being cancelled, or a parked one.
type parker struct {
	*lines
	ch *channel
}

func (p *parker) EndBatch() {
	e := p.ch.engine.(*uringEngine)
	e.parkAfter = 0
	e.park()
}

// parked waits until n connections are.
func (s *server) parked(n int) {
	s.t.Helper()
	eventually(s.t, "idle connections are parked", func() bool { return s.Stats().Parked == uint64(n) })
}

// uringSetups runs f with each of the setups of the uring engine in which connections are parked after a second.
func uringSetups(t *testing.T, f func(t *testing.T, change func(*Config))) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		c := DefaultConfig()
		if change(&c); c.Engine != EngineURing || c.ParkAfter == parkAlways {
			return
		}
		t.Parallel()
		f(t, func(c *Config) {
			change(c)
			c.ParkAfter = time.Second
		})
	})
}

// TestPark: connections that are idle are parked, also in the middle of a request, and are served when they send something, as often as
// they do so.
func TestPark(t *testing.T) {
	uringSetups(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		conns := make([]net.Conn, 40)
		for i := range conns {
			conns[i] = s.dial()
			send(t, conns[i], "echo first\necho ")
			expect(t, conns[i], "first\n")
		}
		for range 2 {
			s.parked(len(conns))
			eventually(t, "unfinished requests are counted", func() bool { return s.Stats().InputBufferBytes == uint64(len("echo ")*len(conns)) })
			for _, c := range conns {
				send(t, c, "again\necho ")
				expect(t, c, "again\n")
			}
		}
	})
}

// TestParkedEnds: whatever way a parked connection ends, it is seen.
func TestParkedEnds(t *testing.T) {
	uringSetups(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		conns := make([]stream, 40)
		for i := range conns {
			conns[i] = s.dial()
			send(t, conns[i], "echo first\n")
			expect(t, conns[i], "first\n")
		}
		s.parked(len(conns))
		for i, c := range conns {
			switch i % 4 {
			case 0:
				_ = c.Close()
			case 1: // reset
				_ = c.tcp.SetLinger(0)
				_ = c.Close()
			case 2:
				_ = c.CloseWrite()
				expectEnd(t, c)
			case 3: // by the server
				send(t, c, "echo last\nquit\n")
				expect(t, c, "last\n")
				expectEnd(t, c)
			}
		}
		eventually(t, "all connections are gone", func() bool { return s.Stats().Conns == 0 })
		s.parked(0)
	})
}

// TestParkedStop: parked connections do not keep a server from stopping, and what they sent last is answered.
func TestParkedStop(t *testing.T) {
	uringSetups(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		conns := make([]net.Conn, 20)
		for i := range conns {
			conns[i] = s.dial()
		}
		s.parked(len(conns))
		for _, c := range conns[:10] {
			send(t, c, "echo last\n")
			arrived(t, c)
		}
		s.stop()
		for _, c := range conns[:10] {
			expect(t, c, "last\n")
		}
		for _, c := range conns {
			expectEnd(t, c)
		}
	})
}

// TestParkedIdle: a parked connection is closed for being idle like others. It is parked some time before; where the machine is too busy for
// that to be seen, it is tried with a longer idle timeout.
func TestParkedIdle(t *testing.T) {
	uringSetups(t, func(t *testing.T, change func(*Config)) {
		for timeout := 3 * time.Second; ; timeout *= 4 {
			s := start(t, change, func(c *Config) { c.IdleTimeout = timeout })
			c := s.dial()
			_ = c.SetDeadline(time.Now().Add(20 * timeout * servertest.Slow))
			parked := false
			eventually(t, "the connection is parked, or closed", func() bool {
				st := s.Stats()
				parked = st.Parked == 1
				return parked || st.IdleKicks == 1
			})
			if !parked {
				t.Logf("the machine is too busy to see a connection parked before it was idle for %v", timeout)
				continue
			}
			expectEnd(t, c)
			eventually(t, "it is gone", func() bool { return s.Stats().Conns == 0 })
			return
		}
	})
}

// TestParkSteps: however many become idle together, all are parked, a part of them at a time.
func TestParkSteps(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Engine, c.Threads, c.MaxConns, c.ParkAfter = EngineURing, 1, 3*parkStep, time.Second
	})
	for range 2*parkStep + 1 {
		s.dial()
	}
	s.parked(2*parkStep + 1)
}
