package batch

import (
	"io"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// TestSendsWithoutCopying: references are given back when the peer has read everything, and
// not before; smaller replies, and those of kernels that cannot do it, are copied.
func TestSendsWithoutCopying(t *testing.T) {
	zeroCopy := func(c *Config) { c.Engine, c.ZeroCopy = EngineURing, 100_000 }
	t.Run("large", func(t *testing.T) {
		s := start(t, zeroCopy)
		eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
		if !s.Engine().Features.Has(ring.SendmsgZC) {
			t.Skip("this kernel, or the feature set of this run, has no sends without copying: run the test on 6.1 or newer")
		}
		c := s.dial()
		const n = 20
		go func() { _, _ = io.WriteString(c, strings.Repeat("ref 1000000\necho x\n", n)) }()
		eventually(t, "a send", func() bool { return s.Stats().ZeroCopySends > 0 })
		if s.refs.Load() == 0 {
			t.Error("no reference while nothing was read")
		}
		for range n {
			expect(t, c, string(pattern(1000000))+"\nx\n")
		}
		eventually(t, "all references are released", func() bool { return s.refs.Load() == 0 && s.Stats().SendQueueBytes == 0 })
		if st := s.Stats(); st.BytesWritten != n*1000003 || st.ZeroCopyCopied > st.ZeroCopySends {
			t.Errorf("stats: %+v", st)
		}
	})
	for name, change := range map[string]func(*Config){
		"small":  func(c *Config) { c.ZeroCopy = 1_000_010 },
		"6.0":    func(c *Config) { c.Allow, _ = ring.ParseFeatures("6.0") },
		"direct": func(c *Config) { c.Direct = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, zeroCopy, change)
			eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
			if name == "direct" && !s.Engine().Features.Has(ring.DirectRelease) {
				t.Skip("direct descriptors are off on this kernel: run the test on 6.13 or newer")
			}
			c := s.dial()
			send(t, c, "ref 1000000\n")
			expect(t, c, string(pattern(1000000))+"\n")
			if st := s.Stats(); st.ZeroCopySends != 0 {
				t.Errorf("%d sends without copying", st.ZeroCopySends)
			}
		})
	}
}

// TestSendsCopying: what is tried again after which error, and how.
func TestSendsCopying(t *testing.T) {
	e := &uringEngine{ch: &channel{conns: newConnTable(testAccount().of.mapMemory)}, zeroCopy: zeroCopySends{usage: true}}
	c := e.ch.conns.take(5)
	b := newSendQueue(c, 0)
	c.sendQueue = e.ch.sendQueues.lend(b)
	c.toSend(sendQueued)
	conn := c.token(kindDrain)
	if !e.sendsCopying(conn, unix.EINVAL) || e.zeroCopy.usage || b.copies {
		t.Error("EINVAL: not tried again without asking what was copied")
	}
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.EPIPE, unix.ECONNRESET, unix.EAGAIN} {
		if e.sendsCopying(conn, errno) || b.copies {
			t.Errorf("%v: tried again", errno)
		}
	}
	for _, errno := range []syscall.Errno{unix.ENOBUFS, unix.ENOMEM, unix.EOPNOTSUPP} {
		if b.copies = false; !e.sendsCopying(conn, errno) || !b.copies {
			t.Errorf("%v: not copied", errno)
		}
	}
}

// TestZeroCopyEndsLate: what the kernel says of a send when the stopping engine has given its bytes back is too late, and does no harm.
func TestZeroCopyEndsLate(t *testing.T) {
	servertest.NeedURing(t)
	ch, c := unserved(t, EngineURing)
	e := ch.engine.(*uringEngine)
	b := newSendQueue(c, 0)
	c.sendQueue = ch.sendQueues.lend(b)
	c.toSend(sendQueued)
	c.toSend(sendDraining)
	send := e.zeroCopy.take(c, b)
	e.stopZeroCopy()
	if b.zeroCopies != 0 || e.zeroCopy.inUse() != 0 {
		t.Fatalf("%d sends are left, %d of the connection's", e.zeroCopy.inUse(), b.zeroCopies)
	}
	e.zeroCopyEnded(send, &ring.CQE{Res: 100, Flags: ring.IORING_CQE_F_MORE})
	e.zeroCopyEnded(send, &ring.CQE{Flags: ring.IORING_CQE_F_NOTIF})
	if b.zeroCopies != 0 || len(e.zeroCopy.free) != 1 || c.send != sendDraining {
		t.Errorf("%d sends of the connection's, %d places for others, %v", b.zeroCopies, len(e.zeroCopy.free), c.send)
	}
}
