package batch

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/batch/slowdown"
	"ringcached/internal/contract"
)

// channel is one core's listeners, connections and loop. Everything in it belongs to
// the thread that runs run, but for the published counters and wake.
type channel struct {
	id      int
	server  *Server
	config  *Config
	handler contract.Handler
	engine  engine

	listeners []listener
	datagrams []listener // UDP sockets
	wakeFD    int        // eventfd
	timerFD   int

	conns  connTable
	direct bool    // connections' descriptors are slots of the ring's own table
	out    *Output // replies of this batch
	sent   *Output // replies of the last flush, until settled
	writer writer  // for the Handler, see writerTo

	flushes, settled uint32 // number of the last flush, and of the last one settled

	ready, spare  []token // connections with requests to handle, in order
	modest        []token // those of them that come before all others, see wait
	ending        []token // finishing connections that wait for their sends
	slow          []token // connections with a send queue
	waiting       []token // accepted connections for which there is no room yet
	lingering     []lingering
	owed          []owed  // connections whose socket has no room for a record of theirs
	memoryWaiters []token // connections with input that the Handler makes wait
	excess        uint64  // connections that held too much, so far
	pushing       bool    // the handler has more to push
	pace          pace    // of this batch
	slowdown      slowdown.Thread

	load  atomic.Int32 // connections that it serves, or that others have passed on to it
	left  int          // connections that ended lately
	inbox inbox        // those passed on
	tls   tlsChannel

	ringFD atomic.Int32 // of the ring that has the direct descriptors; 0: there is none

	parts        [][]byte // what uploadBuffer gave
	cut          cutter   // of the reply to a datagram that is being sent
	guest        conn     // stands for the sender of the datagram that is being answered
	inputBuffers inputBufferPool
	inputHandles handles[inputBuffer]
	sendQueues   handles[sendQueue]
	blocks       blockPool
	memory       account
	allowed      *allowance
	trimming     bool          // there is memory to be given back
	ticks        time.Time     // the last look at everything
	every        time.Duration // period of the timer

	turned       time.Duration // since started: the last turn of the loop,
	yielded      time.Duration // and the last call of the Go scheduler
	second       uint32        // counts ticks of the clock, for time limits
	started      time.Time
	acceptPaused bool
	pausedAt     time.Time

	acceptFailures int // to accept, since the last connection

	onHold      bool // does not accept before Server.Accept
	handingOver bool // has been told not to accept any more,
	handedOver  bool // and does not
	stopping    bool
	stop        stop

	stats counters
}

func newChannel(s *Server, id int, h contract.Handler) (ch *channel, err error) {
	ch = &channel{id: id, server: s, config: &s.config, handler: h, wakeFD: -1, timerFD: -1, conns: newConnTable(s.memory.mapMemory), started: time.Now()}
	ch.memory, ch.allowed = account{of: s.memory}, &allowances[0]
	ch.blocks.memory, ch.inputBuffers.blocks = &ch.memory, &ch.blocks
	ch.parts = make([][]byte, 0, uploadParts)
	defer func() {
		if err != nil {
			ch.close()
			ch = nil
		}
	}()
	if ch.listeners, ch.datagrams, err = s.listen(id, s.config.threads()); err != nil {
		return
	}
	if ch.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		err = os.NewSyscallError("eventfd", err)
		return
	}
	if ch.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		err = os.NewSyscallError("timerfd_create", err)
		return
	}
	if err = armTimer(ch.timerFD, tick, tick); err != nil { // without ticks the channel would not even stop
		return
	}
	most := s.memory.arena(s.config.threads())
	if ch.out, err = newOutput(&ch.memory, most); err != nil {
		return
	}
	ch.sent, err = newOutput(&ch.memory, most)
	return
}

// run is the channel's thread: it runs the loop until the server stops.
func (ch *channel) run() error {
	defer ch.noteHandOver()
	if err := ch.startEngine(ch.pin); err != nil {
		return err
	}
	if ch.config.TLS != nil {
		if err := shortenTurns(); err != nil {
			ch.server.complain("TLS handshakes may delay requests by milliseconds", err)
		}
	}
	ch.stats.publish()
	ch.handler.Tick(time.Now())
	if ch.onHold = ch.config.Hold; !ch.onHold {
		ch.engine.accept()
		ch.engine.receiveDatagrams()
	}
	ch.server.startedOne()
	for !ch.stopping || !ch.stopped() {
		if err := ch.engine.poll(len(ch.ready) == 0 && len(ch.modest) == 0 && len(ch.ending) == 0 && !ch.pushing); err != nil {
			return fmt.Errorf("channel %d: %w", ch.id, err)
		}
		ch.endFinished()
		if len(ch.memoryWaiters) > 0 {
			ch.retryMemoryWaiters()
		}
		if len(ch.ready) > 0 {
			ch.runReady()
		}
		ch.handler.EndBatch()
		ch.push()
		ch.flush()
		ch.pace = pace{}
		ch.limitMemory()
		if ch.handingOver && !ch.handedOver {
			ch.endHandOver()
		}
		ch.yield()
	}
	ch.engine.stop()
	ch.inputBuffers.drop()
	return nil
}

const (
	yieldEvery = 5 * time.Millisecond // less than the 10 ms after which Go's runtime takes steps
	busyTurn   = time.Millisecond     // a turn that took longer has waited
)

// yield calls the Go scheduler now and then while the channel is busy. A goroutine that never does so, however many system calls it makes, is
// one that runs for too long to the runtime's monitor (sysmon, in Go's src/runtime/proc.go; seen with Go 1.26): every 10 ms it takes away the
// right to run from the thread that is in a system call, and then looks again every 20 microseconds for a while, 2500 times a second in all.
// With yield a get takes 0.96 (0.94..0.98) of the CPU that it took, as ringcached-bench regress measured it.
func (ch *channel) yield() {
	now := time.Since(ch.started)
	if now-ch.yielded >= yieldEvery && now-ch.turned < busyTurn {
		runtime.Gosched()
		ch.yielded = now
	}
	ch.turned = now
}

// wake makes the channel call woken. Any goroutine may call it.
func (ch *channel) wake() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(ch.wakeFD, one)
}

// woken is called by the engine when the wake-up descriptor is readable: the server
// accepts, does so no more, or stops, or a connection ended somewhere while others waited,
// or was passed on to this channel.
func (ch *channel) woken() {
	clearCounter(ch.wakeFD)
	ch.openPassed()
	ch.followHandOver()
	ch.endUnwanted()
	if ch.server.stopping.Load() && !ch.stopping {
		ch.beginStop()
	}
	if len(ch.waiting) > 0 && !ch.stopping {
		ch.admitWaiting()
	}
}

// lookAround does what is due once a second, and whenever a stopping channel ticks.
func (ch *channel) lookAround(now time.Time) {
	ch.second = uint32(now.Sub(ch.started) / time.Second)
	ch.left /= 2
	ch.handler.Tick(now)
	ch.endUnwanted()
	ch.engine.tick()
	if ch.acceptPaused {
		ch.resumeAccept()
	}
	if len(ch.slow) > 0 {
		ch.closeSlow()
	}
	if len(ch.lingering) > 0 {
		ch.closeLingering()
	}
	if len(ch.owed) > 0 {
		ch.payOwed()
	}
	if ch.config.IdleTimeout > 0 {
		ch.closeIdle()
	}
	if ch.id == 0 {
		ch.server.tellCrowd()
	}
	ch.blocks.tick()
	ch.inputBuffers.trim()
	ch.inputHandles.trim()
	ch.sendQueues.trim()
	if ch.tls.ciphers != nil {
		ch.tls.ciphers.Tick()
	}
	ch.trim()
	ch.memory.tell(0) // even if nothing changed: two channels that tell at once may leave an old pressure behind
	ch.countInputBuffers()
	ch.stats.publish()
}

// trimTime is for giving memory back, at a time.
const trimTime = 300 * time.Microsecond

// trim gives back what a peak took and nobody uses now, for a moment; the rest soon.
func (ch *channel) trim() {
	more := false
	for begin := time.Now(); time.Since(begin) < trimTime; {
		more = ch.blocks.trim()
		for _, o := range []*Output{ch.sent, ch.out} {
			if o.empty() {
				more = o.trim() || more
			}
		}
		if !more {
			break
		}
	}
	ch.trimming = more
}

func (ch *channel) countInputBuffers() {
	var n uint64
	for _, s := range ch.inputHandles.lent {
		if s != nil {
			n += uint64(s.size())
		}
	}
	ch.stats.inputBufferBytes.Store(n)
}

func clearCounter(fd int) {
	var b [8]byte
	_, _ = unix.Read(fd, b[:])
}

// close frees what the channel has outside its engine.
func (ch *channel) close() {
	closeListeners(ch.listeners)
	closeListeners(ch.datagrams)
	closeAll([]int{ch.wakeFD, ch.timerFD})
	ch.listeners, ch.datagrams, ch.wakeFD, ch.timerFD = nil, nil, -1, -1
	ch.dropPassed()
	ch.conns.close()
	ch.tls.close()
	ch.blocks.close()
	for _, o := range []*Output{ch.out, ch.sent} {
		if o != nil {
			o.close()
		}
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// engine is a channel's kernel interface. Everything that is not about it is the
// channel's, so that both engines do the same work. All methods run on the channel's
// thread.
type engine interface {
	// start makes the ring or the epoll instance, and watches wake-up and timer. If it fails, free has to follow.
	start() error
	// free is stop for an engine that has not served.
	free()
	// poll submits what was queued, reports to the channel how the last flush's sends
	// ended (unsent, settle), and delivers what happened. With block it waits for something.
	poll(block bool) error
	// receive wants c's input from here on: calls of channel.received, ended or kill. Of one
	// whose input was cut nothing is wanted any more.
	receive(c *conn)
	// pause wants no more of c's input. What the kernel received already still comes.
	pause(c *conn)
	// send sends reply i of out.
	send(c *conn, out *Output, i uint32)
	// sendDatagrams sends messages on a UDP socket. What the socket does not take is lost.
	sendDatagrams(socket int32, msgs []mmsghdr)
	// install makes an ordinary descriptor of a direct one, the caller's to close. It is called for direct ones only.
	install(c *conn) (fd int, err error)
	// drain sends the next part of c's send queue when the socket takes it.
	drain(c *conn)
	// release closes c's descriptor as soon as nothing refers to it and calls channel.freed.
	release(c *conn)
	// accept starts accepting, or goes on after acceptFailed said no.
	accept()
	// pass gives a connection that was accepted and has no record to another channel, unless that has ended.
	pass(a arrival, to *channel) bool
	// receiveDatagrams starts to receive from the UDP sockets.
	receiveDatagrams()
	// allow says what connections may hold from here on.
	allow(a *allowance)
	// tick is called about once a second.
	tick()
	// stopAccept ends accepting for good.
	stopAccept()
	// stopDatagrams leaves what comes on the UDP sockets to somebody else.
	stopDatagrams()
	// quiet reports that stopAccept and, if it was called, stopDatagrams have taken effect, and that no pass is under way.
	quiet() bool
	// stop frees everything. All connections must have been freed.
	stop()
}

// retriable reports that a send failed for now, not for good.
func retriable(errno syscall.Errno) bool {
	switch errno {
	case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM:
		return true
	}
	return false
}

func newEngine(ch *channel, c Choice) engine {
	if c.Engine == EngineURing {
		return &uringEngine{ch: ch, features: c.Features}
	}
	return &epollEngine{ch: ch, fd: -1}
}

const (
	tick       = time.Second           // how often a channel looks at what time brings
	memoryTick = 5 * time.Millisecond  // and at inputs for which the Handler had no memory
	trimTick   = 20 * time.Millisecond // and at memory that is to be given back, and at records that are owed
)

// period is how often the timer has to fire now.
func (ch *channel) period() time.Duration {
	switch {
	case ch.stopping:
		return stopTick
	case len(ch.memoryWaiters) > 0:
		return memoryTick
	case ch.trimming || len(ch.owed) > 0:
		return trimTick
	case ch.acceptPaused && len(ch.waiting) == 0:
		return acceptRetry
	}
	return tick
}

// setTimer makes the timer fire as often as is needed now. A whole second since the last look at everything is never exceeded by it.
// It cannot fail where it did not when the channel was made.
func (ch *channel) setTimer() {
	every := ch.period()
	if every == ch.every {
		return
	}
	ch.every = every
	first := max(min(every, tick-time.Since(ch.ticks)), time.Millisecond)
	_ = armTimer(ch.timerFD, first, every)
}

func armTimer(fd int, first, every time.Duration) error {
	spec := unix.ItimerSpec{Interval: unix.NsecToTimespec(int64(every)), Value: unix.NsecToTimespec(int64(first))}
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(fd, 0, &spec, nil))
}

// ticked is called by the engine when the timer fired.
func (ch *channel) ticked() {
	clearCounter(ch.timerFD)
	if now := time.Now(); ch.stopping || now.Sub(ch.ticks) >= tick-trimTick {
		ch.ticks = now
		ch.lookAround(now)
	} else {
		ch.endUnwanted()
		if ch.acceptPaused {
			ch.resumeAccept()
		}
		if ch.trimming {
			ch.trim()
		}
		if len(ch.owed) > 0 {
			ch.payOwed()
		}
	}
	ch.setTimer()
}

const (
	// batchTime is how long a batch hands out quanta. Whoever has input for which it is too late comes in the next one, so that clients with
	// much to ask for, such as appends to large values, do not keep others waiting.
	batchTime = 2 * time.Millisecond
	// paceQuanta is from how many quanta to how many the clock is read. A batch of fewer quanta costs nothing.
	paceQuanta = 8
)

// pace tells when a batch has lasted long enough.
type pace struct {
	quanta int
	begun  time.Time // when it had paceQuanta
	late   bool
}

// quantum counts one quantum of a connection.
func (p *pace) quantum() {
	if p.quanta++; p.quanta%paceQuanta != 0 {
		return
	}
	if now := time.Now(); p.quanta == paceQuanta {
		p.begun = now
	} else if now.Sub(p.begun) >= batchTime {
		p.late = true
	}
}

// spent reports that everybody has to wait for the next batch.
func (ch *channel) spent() bool { return ch.pace.late || ch.out.spent() }

// Wake makes a channel ask its Handler for Pending soon. Any goroutine may call it while
// the server serves.
func (s *Server) Wake(channel int) {
	s.channels[channel].wake()
}

// push lets the Handler write to connections that asked for nothing in this batch. What
// has a send queue already takes nothing now: it is asked for again when that is sent.
func (ch *channel) push() {
	ch.pushing = false
	for _, slot := range ch.handler.Pending() {
		c := ch.conns.at(slot)
		if c.send != sendIdle || c.closing() {
			continue
		}
		if ch.handler.Push(slot, ch.writerTo(c)) {
			ch.pushing = true
		}
	}
}
