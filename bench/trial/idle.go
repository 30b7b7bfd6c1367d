package trial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
func (i *idling) open(ctx context.Context, addr string) error {
	c, err := speak(ctx, addr, 1)
	if err == nil {
		i.conns = append(i.conns, c)
	}
	return err
}

// close resets the connections: none is left in TIME_WAIT, for the kernel to free while others are measured.
func (i *idling) close() {
	for _, c := range i.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
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
	// What the server touches with few connections, too, is not theirs.
	for range 50 {
		if err := touchServer(ctx, in.Addr); err != nil {
			return err
		}
	}
	if wait.parked { // the question touches some, too
		if _, err := load.AskStats(ctx, in.Addr, "batch"); err != nil {
			return err
		}
	}
	before, kernel, err := settledMemory(ctx, in.Process.PID, n, wait)
	if err != nil {
		return err
	}
	for len(s.idle.conns) < n {
		if err := s.idle.open(ctx, in.Addr); err != nil {
			return fmt.Errorf("idle connection %d: %w", len(s.idle.conns)+1, err)
		}
	}
	if wait.parked {
		if err := allParked(ctx, in.Addr, n, 4*parkTime(n)); err != nil {
			return err
		}
	}
	after, kernelAfter, err := settledMemory(ctx, in.Process.PID, n, wait)
	if err != nil {
		return err
	}
	s.idle.user = float64(after-before) / float64(n)
	if kernel != nil && kernelAfter != nil && len(clients) > 0 {
		caches := sut.Caches(kernelAfter.PerConnection(kernel, n), clients)
		s.idle.kernel = sut.SumCaches(caches)
		s.track.row.Caches = caches[:min(len(caches), shownCaches)]
	}
	return nil
}

// shownCaches is how many of the kernel's caches a row names.
const shownCaches = 8

// clientEnds is what this process's ends of connections cost the kernel, measured once. Without that the servers' ends are unknown.
func (m *measuring) clientEnds(ctx context.Context) []sut.SlabGrowth {
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

// measureClientEnds makes n connections to itself, both ends of which are alike, and halves what they take.
func measureClientEnds(ctx context.Context, n int) ([]sut.SlabGrowth, error) {
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
		there, err := answerOne(ctx, l, &ends)
		if there != nil {
			ends.conns = append(ends.conns, there)
		}
		if err != nil {
			return nil, err
		}
	}
	after, err := sut.ReadSlabs()
	if err != nil {
		return nil, err
	}
	return sut.Halve(after.PerConnection(before, n)), nil
}

// answerOne opens a connection to the listener of this process, and answers its request as a server would. The result is the server's end.
func answerOne(ctx context.Context, l net.Listener, ends *idling) (there net.Conn, err error) {
	accepted := make(chan error, 1)
	go func() {
		var err error
		if there, err = l.Accept(); err == nil {
			if _, err = bufio.NewReaderSize(there, 64).ReadString('\n'); err == nil {
				_, err = there.Write([]byte("END\r\n"))
			}
		}
		accepted <- err
	}()
	if err = ends.open(ctx, l.Addr().String()); err != nil {
		_ = l.Close() // ends the accept
	}
	return there, errors.Join(err, <-accepted)
}

// touchServer makes some requests on a connection of its own.
func touchServer(ctx context.Context, addr string) error {
	c, err := speak(ctx, addr, 100)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// speak opens a connection and makes requests on it.
func speak(ctx context.Context, addr string, requests int) (net.Conn, error) {
	c, err := load.Dial(ctx, addr, load.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(load.QueryTimeout))
	in := bufio.NewReaderSize(c, 64)
	for range requests {
		var reply string
		if _, err = c.Write([]byte("get none\r\n")); err == nil {
			reply, err = in.ReadString('\n')
		}
		if err == nil && reply != "END\r\n" && reply != "$-1\r\n" { // the latter of Valkey, which takes a line for a request, too
			err = fmt.Errorf("the server answered %q to a get", reply)
		}
		if err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

// settleLook is between two looks at the memory.
const settleLook = 100 * time.Millisecond

// settleFully waits as long as it takes.
var settleFully = settle{quiet: 2 * time.Second, most: 10 * time.Second}

// settledMemory waits until the memory of the process and of the kernel does not change any more. It returns the process's in bytes, without pages
// of files, and the kernel's, nil if that is unknown. Changes of the kernel's that are too small for n connections are somebody else's.
func settledMemory(ctx context.Context, pid, n int, s settle) (int64, sut.Slabs, error) {
	var last int64
	var kernelLast sut.Slabs
	start := time.Now()
	for changed := start; ; {
		m, err := sut.AnonymousBytes(pid)
		if err != nil {
			return 0, nil, err
		}
		kernel, _ := sut.ReadSlabs()
		if m != last || !kernel.Near(kernelLast, n) {
			last, kernelLast, changed = m, kernel, time.Now()
		}
		if time.Since(changed) >= s.quiet || time.Since(start) >= s.most {
			return m, kernel, nil
		}
		select {
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		case <-time.After(settleLook):
		}
	}
}

// parkedArgs let the server park connections as soon as it can, so that nobody has to wait for the 30 s that are usual.
var parkedArgs = []string{"--park-after", "1s"}

// parkTime is how long a server with parkedArgs takes at most to park n connections: it counts whole seconds, and parks 128 in each.
func parkTime(n int) time.Duration { return 3*time.Second + time.Duration(n/128)*time.Second }

// allParked waits until a server has parked n connections, but no longer than most.
func allParked(ctx context.Context, addr string, n int, most time.Duration) error {
	for start := time.Now(); ; {
		stats, err := load.AskStats(ctx, addr, "batch")
		if err != nil {
			return err
		}
		parked, err := sut.StatNumber(stats, "conns_parked")
		if err != nil || parked >= int64(n) {
			return err
		}
		if time.Since(start) >= most {
			return fmt.Errorf("only %d of %d idle connections are parked after %v", parked, n, most)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settleLook):
		}
	}
}
