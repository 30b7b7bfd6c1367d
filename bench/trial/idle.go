package trial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// idling holds connections open that do nothing, and what they cost.
type idling struct {
	conns  []net.Conn
	user   float64 // bytes of the server's own memory for each
	kernel float64 // bytes of the kernel's for the server's end of each, 0: unknown
}

// open makes one more connection to the server, and one request on it.
func (i *idling) open(ctx context.Context, at load.Endpoint) error {
	c, err := at.Dial(ctx, load.ConnectTimeout)
	if err == nil {
		i.conns = append(i.conns, c)
		err = ask(c, 1)
	}
	return err
}

// close resets the connections: none is left in TIME_WAIT, for the kernel to free while others are measured.
func (i *idling) close() {
	for _, c := range i.conns {
		if over, ok := c.(*tls.Conn); ok {
			c = over.NetConn()
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

// question is what is asked on an idle connection. A server has one of two replies: Valkey takes a line for a request, too.
const question, reply, replyOfValkey = "get none\r\n", "END\r\n", "$-1\r\n"

// ask makes requests on a connection, and waits for their replies.
func ask(c net.Conn, requests int) error {
	_ = c.SetDeadline(time.Now().Add(load.QueryTimeout))
	var answer [len(reply)]byte
	for range requests {
		_, err := io.WriteString(c, question)
		if err == nil {
			_, err = io.ReadFull(c, answer[:])
		}
		if err != nil {
			return err
		}
		if got := string(answer[:]); got != reply && got != replyOfValkey {
			return fmt.Errorf("the server answered %q to a get", got)
		}
	}
	return nil
}

// mostParked is how many idle connections are waited for until all are parked: that takes half a minute, and two for the most there are.
const mostParked = 1 << 12

// idleAround opens a point's idle connections to a server of ours, and measures what they cost it. The standing's stop closes the connections.
func (m *measuring) idleAround(ctx context.Context, s *standing) error {
	n, in, wait := s.track.spot.point.Idle, s.in, m.plan.settle
	if in.Process == nil {
		return errors.New("the memory of a server that was not started here is unknown")
	}
	clients := m.clientEnds(ctx)
	wait.parked = s.track.server.Parks && n <= mostParked
	if s.track.server.Parks && !wait.parked {
		clients = nil // some are parked and some not: unknown
	}
	for range 50 { // what the server touches with few connections, too, is not theirs
		c, err := in.Dial(ctx, load.ConnectTimeout)
		if err == nil {
			err = ask(c, 100)
			_ = c.Close()
		}
		if err != nil {
			return err
		}
	}
	if wait.parked { // the question touches some, too
		if _, err := in.AskStats(ctx, "batch"); err != nil {
			return err
		}
	}
	before, kernel, err := settledMemory(ctx, in.Process.PID, n, wait)
	if err != nil {
		return err
	}
	for len(s.idle.conns) < n {
		if err := s.idle.open(ctx, in.Endpoint); err != nil {
			return fmt.Errorf("idle connection %d: %w", len(s.idle.conns)+1, err)
		}
	}
	if wait.parked {
		if err := allParked(ctx, in.Endpoint, n, 4*parkTime(n)); err != nil {
			return err
		}
	}
	after, kernelAfter, err := settledMemory(ctx, in.Process.PID, n, wait)
	if err != nil {
		return err
	}
	s.idle.user = float64(after-before) / float64(n)
	if kernel != nil && kernelAfter != nil && len(clients) > 0 {
		caches, sum := kernelAfter.PerConnection(kernel, n).Caches(clients)
		s.idle.kernel = sum
		s.track.row.Caches = caches[:min(len(caches), shownCaches)]
	}
	return nil
}

// shownCaches is how many of the kernel's caches a row names.
const shownCaches = 8

// clientEnds is what both ends of connections of this process cost the kernel, measured once. Without that the servers' ends are unknown.
func (m *measuring) clientEnds(ctx context.Context) sut.Slabs {
	if m.clients == nil && m.plan.clients > 0 {
		clients, err := measureClientEnds(ctx, m.plan.clients)
		if err != nil {
			m.problem("", "", false, fmt.Sprintf("kernel memory is unknown, as is what of it is the load's: %v", err))
			m.plan.clients = 0
		}
		m.clients = clients
	}
	return m.clients
}

// measureClientEnds makes n connections to itself, both ends of which are alike.
func measureClientEnds(ctx context.Context, n int) (sut.Slabs, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	before, err := sut.ReadSlabs()
	if err != nil {
		return nil, err
	}
	var ends idling
	defer ends.close()
	for range n {
		if err := ends.openBoth(ctx, l); err != nil {
			return nil, err
		}
	}
	after, err := sut.ReadSlabs()
	if err != nil {
		return nil, err
	}
	return after.PerConnection(before, n), nil
}

// openBoth opens a connection to a listener of this process, and answers its request as a server would.
func (i *idling) openBoth(ctx context.Context, l net.Listener) error {
	here, err := load.Endpoint{Addr: l.Addr().String()}.Dial(ctx, load.ConnectTimeout)
	if err != nil {
		return err
	}
	i.conns = append(i.conns, here)
	there, err := l.Accept()
	if err != nil {
		return err
	}
	i.conns = append(i.conns, there)
	limit := time.Now().Add(load.QueryTimeout) // whoever else connected does not answer
	_, _ = here.SetDeadline(limit), there.SetDeadline(limit)
	var in [len(question)]byte
	_, asked := io.WriteString(here, question)
	_, heard := io.ReadFull(there, in[:])
	_, said := io.WriteString(there, reply)
	_, answered := io.ReadFull(here, in[:len(reply)])
	return errors.Join(asked, heard, said, answered)
}

// settle is how long to wait until a server's memory does not change any more: servers give back what they borrowed some time after a peak.
type settle struct {
	quiet, most time.Duration // without a change; in all
	parked      bool          // and before that until all idle connections are parked
}

// settleFully waits as long as it takes.
var settleFully = settle{quiet: 2 * time.Second, most: 10 * time.Second}

// lookUntil looks again and again, every tenth of a second, until there is nothing more to wait for.
func lookUntil(ctx context.Context, done func() (bool, error)) error {
	for {
		if over, err := done(); over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// settledMemory waits until the memory of the process and of the kernel does not change any more. It returns the process's in bytes, without pages
// of files, and the kernel's, nil if that is unknown. Changes of the kernel's that are too small for n connections are somebody else's.
func settledMemory(ctx context.Context, pid, n int, s settle) (own int64, kernel sut.Slabs, err error) {
	start := time.Now()
	changed, ownThen, kernelThen := start, int64(0), sut.Slabs(nil)
	err = lookUntil(ctx, func() (bool, error) {
		if own, err = sut.MemoryBytes(pid, "RssAnon"); err != nil {
			return false, err
		}
		if kernel, _ = sut.ReadSlabs(); own != ownThen || !kernel.Near(kernelThen, n) {
			changed, ownThen, kernelThen = time.Now(), own, kernel
		}
		return time.Since(changed) >= s.quiet || time.Since(start) >= s.most, nil
	})
	return own, kernel, err
}

// parkedArgs let the server park connections as soon as it can, so that nobody has to wait for the 30 s that are usual.
var parkedArgs = []string{"--park-after", "1s"}

// parkTime is how long a server with parkedArgs takes at most to park n connections: it counts whole seconds, and parks 128 in each.
func parkTime(n int) time.Duration { return 3*time.Second + time.Duration(n/128)*time.Second }

// allParked waits until a server has parked n connections, but no longer than most.
func allParked(ctx context.Context, at load.Endpoint, n int, most time.Duration) error {
	start := time.Now()
	return lookUntil(ctx, func() (bool, error) {
		stats, err := at.AskStats(ctx, "batch")
		if err != nil {
			return false, err
		}
		parked, err := sut.StatNumber(stats, "conns_parked")
		if err == nil && parked < int64(n) && time.Since(start) >= most {
			err = fmt.Errorf("only %d of %d idle connections are parked after %v", parked, n, most)
		}
		return parked >= int64(n), err
	})
}
