package batch

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

const (
	quietTime   = 20 * time.Millisecond  // a stopping channel takes new input until none came for so long,
	inputTime   = 500 * time.Millisecond // for so long at most
	lostTime    = 500 * time.Millisecond // and does not wait any longer for receives to end
	releaseTime = 5 * time.Second        // for the kernel to give back what a channel has
	stopTick    = 2 * time.Millisecond
	// stopIterations is in how many iterations all comes that had arrived before the stop, however long they take: a parked connection's input takes
	// up to four.
	stopIterations = 8
)

// stop is how far a channel is with stopping. For a while it goes on as ever, since clients may have requests on their way. Then it cuts the
// input of every connection behind what the kernel has received by then. That is still handled, and all replies are sent and waited
// for until the peer has taken them, however long that takes, up to the deadline.
type stop struct {
	begin      time.Time
	iterations int       // since its beginning
	receives   uint64    // up to the last look
	input      time.Time // of the last receive
	over       bool      // inputs are being cut, since cutAt
	cutAt      time.Time
	looked     time.Time // at all connections
	deadline   time.Time

	arrived map[token]uint64 // of connections that have not received all that had arrived: how far in its stream that reaches
	closed  bool             // nobody can connect any more
	deaf    bool             // datagrams are not received any more
}

func (ch *channel) beginStop() {
	ch.stopping = true
	now := time.Now()
	ch.stop = stop{begin: now, receives: ch.stats.receives, input: now, deadline: now.Add(ch.config.DrainTimeout), arrived: map[token]uint64{}}
	ch.admitAll()
	ch.setTimer()
}

// Hurry makes a server that is stopping, now or later, wait for no client: what would go on until Config.DrainTimeout has passed ends at once.
func (s *Server) Hurry() {
	s.closing.Lock() // the channels may be closed by now
	defer s.closing.Unlock()
	s.hurried.Store(true)
	if s.handshakes != nil {
		s.handshakes.Hurry(0)
	}
	s.wakeAll()
}

// stopped goes on with stopping, and reports that nothing is left.
func (ch *channel) stopped() bool {
	s, now := &ch.stop, time.Now()
	if ch.server.hurried.Load() && s.deadline.After(now) {
		s.deadline = now
	}
	late := now.After(s.deadline)
	if ch.stats.receives != s.receives {
		s.receives, s.input = ch.stats.receives, now
	}
	if !s.over {
		comes, most := now.Sub(s.input) < quietTime, inputTime
		if ch.inbox.expects() { // handshakes of TLS: the requests come behind them
			comes, most = true, ch.config.handshakeStop()
		}
		if s.iterations++; !late && (s.iterations < stopIterations || comes && now.Sub(s.begin) < most) {
			return false
		}
		s.over, s.cutAt = true, now
		ch.engine.stopAccept()
	}
	ch.closeListening()
	switch {
	case late:
		ch.cutOff()
		if now.Sub(s.deadline) > releaseTime {
			return true // the kernel still has operations under way: the exit ends them
		}
	case now.Sub(s.looked) >= stopTick:
		s.looked = now
		ch.conns.each(ch.cutInput)
	}
	return ch.conns.used == 0 && ch.inbox.shut() && ch.endDatagrams()
}

// cutOff ends all connections that are left, whatever they have not been sent.
func (ch *channel) cutOff() {
	n := 0
	ch.conns.each(func(c *conn) {
		if c.life != lifeReleasing {
			n++
		}
		c.endsFor(contract.ReasonShutdown)
		ch.kill(c)
	})
	if n > 0 {
		ch.config.log(1, "stopping: %d connections cut off, which had not taken all replies in time", n)
	}
}

// closeListening makes new connections fail at once, instead of when all that is left has ended. Sockets that have been handed over are
// somebody else's as well, who goes on accepting.
func (ch *channel) closeListening() {
	if ch.stop.closed || !ch.engine.quiet() {
		return
	}
	ch.stop.closed = true
	ch.server.closing.Lock() // Listening looks at them
	defer ch.server.closing.Unlock()
	closeListeners(ch.listeners)
	ch.listeners = nil
}

// endDatagrams ends receiving datagrams when nothing else is left to do, and reports that none is left that was received.
func (ch *channel) endDatagrams() bool {
	if s := &ch.stop; !s.deaf {
		s.deaf = true
		if !ch.handingOver {
			ch.engine.stopDatagrams()
		}
	}
	return ch.engine.quiet()
}

// A channel that stops answers what had arrived, and drops what comes later. It cannot end the input of a connection with shutdown(SHUT_RD):
// once its output is ended as well, a byte more from the peer would reset it, and the replies that are under way would be lost. So it asks the
// kernel how much had arrived, and receives until it has that much.

// errNoDescriptor: a direct descriptor cannot be made an ordinary one here.
var errNoDescriptor = errors.New("no ordinary descriptor")

// cutInput goes on with ending the input of c, which is being looked at again and again until c has ended.
func (ch *channel) cutInput(c *conn) {
	if c.closing() || c.inputOver() {
		return // it ends by itself
	}
	if c.input != inputCutting {
		if !ch.hasAll(c) {
			return
		}
		delete(ch.stop.arrived, c.token(kindNone))
		c.endsFor(contract.ReasonShutdown)
		ch.engine.pause(c)
		c.toInput(inputCutting)
	}
	// A receive that is being cancelled may have received something yet.
	if !c.cancelling() || time.Since(ch.stop.cutAt) > lostTime {
		ch.ended(c)
	}
}

// hasAll reports that c has received all that had arrived when it was first asked.
func (ch *channel) hasAll(c *conn) (all bool) {
	s, t := &ch.stop, c.token(kindNone)
	err := ch.withDescriptor(c, func(fd int) {
		upTo, asked := s.arrived[t]
		if c.is(flagLocal) && !asked {
			_ = unix.Shutdown(fd, unix.SHUT_RD) // a unix socket keeps what the peer has not read
			s.arrived[t] = 0
		}
		unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if all = err != nil || unread == 0; all || c.is(flagLocal) {
			return
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return // as long as it sends
		}
		if !asked {
			s.arrived[t] = info.Bytes_received
			return
		}
		// More may arrive between the two questions, so the second is what is unread.
		if unread, err = unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil {
			all = info.Bytes_received-uint64(unread) >= upTo
		}
	})
	if errors.Is(err, errNoDescriptor) {
		quiet := time.Since(s.input) > quietTime || time.Since(s.cutAt) > lostTime
		return quiet && !c.is(flagReady) && c.send == sendIdle
	}
	return all
}

// withDescriptor calls f with an ordinary descriptor of c's socket. For a direct one the kernel makes it. An error that is not
// errNoDescriptor may pass.
func (ch *channel) withDescriptor(c *conn, f func(fd int)) error {
	if !ch.direct {
		f(int(c.fd))
		return nil
	}
	fd, err := ch.engine.install(c)
	if err != nil {
		return err
	}
	f(fd)
	return unix.Close(fd)
}

// temporary reports that what the error says may be over soon.
func temporary(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case unix.EAGAIN, unix.EBUSY, unix.EMFILE, unix.ENFILE, unix.ENOMEM:
		return true
	}
	return false
}

// lingering is a connection that the server ended before its peer had taken all replies.
// Closing a socket with unread input resets the connection, and so does input that comes
// later; what was not taken is lost then. So its output is ended, and its input dropped,
// until the peer has everything.
type lingering struct {
	conn  token
	left  int    // bytes that the peer had not taken when they were last looked at
	since uint32 // second in which that changed
}

// lingerStep is how many of them one tick of a channel that stops looks at, so that it does little else when there are many.
const lingerStep = 256

// hangUp is finish for a connection that the Handler ended: the peer may be sending still.
func (ch *channel) hangUp(c *conn) {
	ch.endAs(c, lifeHangingUp)
}

// closeGracefully ends a finished connection whose replies have all gone to its socket.
func (ch *channel) closeGracefully(c *conn) {
	if !ch.lingers(c) {
		ch.release(c)
		return
	}
	left, ended := 0, false
	err := ch.withDescriptor(c, func(fd int) {
		left = outstanding(fd)
		ended = left > 0 && unix.Shutdown(fd, unix.SHUT_WR) == nil
	})
	if err != nil && temporary(err) { // its output is ended later
		left, ended = unknown, true
	}
	if !ended {
		ch.release(c)
		return
	}
	if c.input != inputPaused {
		c.toInput(inputPaused)
	}
	c.toLife(lifeLingering)
	ch.lingering = append(ch.lingering, lingering{c.token(kindNone), left, ch.second})
	ch.engine.receive(c)
}

// lingers reports that c, which the server ends, is worth waiting for. What a unix socket was sent stays when it is closed, and a peer that
// has sent its last byte cannot make this end reset.
func (ch *channel) lingers(c *conn) bool {
	return (ch.stopping || c.life == lifeHangingUp) && !c.is(flagLocal) && c.input != inputEOF
}

// closeLingering closes the connections whose peer has taken everything, or nothing for
// the send timeout.
func (ch *channel) closeLingering() {
	now := ch.lingering
	if ch.stopping {
		now = now[:min(len(now), lingerStep)]
	}
	later := ch.lingering[len(now):]
	kept := now[:0]
	for _, l := range now {
		if ch.goesOnLingering(&l) {
			kept = append(kept, l)
		}
	}
	if len(later) > 0 {
		kept = append(append([]lingering{}, later...), kept...)
	}
	ch.lingering = kept
}

// unknown is how many bytes are outstanding when the kernel cannot tell yet.
const unknown = -1

// goesOnLingering looks whether the connection's peer has taken anything, and closes it when nothing is left to wait for.
func (ch *channel) goesOnLingering(l *lingering) bool {
	c := ch.conns.find(l.conn.slot(), l.conn.gen())
	if c == nil || c.life == lifeReleasing {
		return false
	}
	left := 0
	err := ch.withDescriptor(c, func(fd int) {
		if left = outstanding(fd); left > 0 && l.left == unknown {
			_ = unix.Shutdown(fd, unix.SHUT_WR)
		}
	})
	if err != nil && temporary(err) {
		left = l.left
	}
	// The end of the output counts as a byte.
	if left != l.left {
		l.left, l.since = left, ch.second
	}
	if limit := ch.config.sendSeconds(); left == 0 || limit > 0 && ch.second-l.since > limit {
		ch.release(c)
		return false
	}
	return true
}

// outstanding is how many bytes that the socket has sent, or is to send, its peer has not
// acknowledged.
func outstanding(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// finish ends c when everything that it earned is sent. Further input is dropped.
func (ch *channel) finish(c *conn) { ch.endAs(c, lifeClosing) }

func (ch *channel) endAs(c *conn, life lifecycle) {
	if c.closing() {
		return
	}
	c.toLife(life)
	c.clear(flagUpload)
	ch.dropInputBuffer(c)
	ch.engine.pause(c)
	ch.sayGoodbye(c)
	ch.ending = append(ch.ending, c.token(kindNone))
}

// endFinished releases finishing connections whose replies are known to be sent.
func (ch *channel) endFinished() {
	kept := ch.ending[:0]
	for _, t := range ch.ending {
		c := ch.conns.find(t.slot(), t.gen())
		switch {
		case c == nil || c.life >= lifeLingering: // it was in the list twice: since it was finished, and since its send queue was sent
		case c.send != sendIdle: // its last drain brings it back here
		case c.reply >= 0 || (c.flushed == ch.flushes && ch.flushes != ch.settled): // only the last flush can be unsettled
			kept = append(kept, t)
		case c.is(flagAlert) && c.is(flagKernelTLS) && ch.sendAlert(c) != nil: // payOwed brings it back here
		default:
			ch.closeGracefully(c)
		}
	}
	ch.ending = kept
}

// kill ends c at once; replies that were not sent are dropped.
func (ch *channel) kill(c *conn) {
	if c.life != lifeReleasing {
		c.endsFor(contract.ReasonError)
		ch.dropInputBuffer(c)
		ch.release(c)
	}
}

// release ends c for the handler and has the engine close the descriptor; that
// then calls freed. While the kernel writes to memory of the handler's, closed waits.
func (ch *channel) release(c *conn) {
	c.toLife(lifeReleasing)
	if !c.uploading() {
		ch.closed(c)
	}
	ch.engine.release(c)
}

// closed ends c for the handler.
func (ch *channel) closed(c *conn) {
	if c.is(flagAnnounced) {
		ch.handler.Closed(c.slot, c.reason)
	}
}

// freed ends c's record: the descriptor is closed, or about to be, and nothing of the
// kernel's refers to it.
func (ch *channel) freed(c *conn) {
	ch.dropInputBuffer(c)
	ch.dropSendQueue(c)
	ch.endTLS(c)
	if c.is(flagAnnounced) {
		ch.load.Add(-1)
		ch.left++
		ch.server.depart()
	}
	ch.conns.put(c)
	if ch.acceptPaused {
		ch.resumeAccept()
	}
}
