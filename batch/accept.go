package batch

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

// refusal is the reply to a connection above the limit, as memcached words it.
const refusal = "ERROR Too many open connections\r\n"

// acceptRetry is how long accepting rests when it fails and would fail again at once, unless
// a connection closes before. So do other operations of that kind.
const acceptRetry = 100 * time.Millisecond

// acceptTries is how many errors of single connections may follow one another before accepting rests.
const acceptTries = 16

// accepted takes a new connection of the given listener.
func (ch *channel) accepted(fd int32, listener uint32) {
	ch.acceptFailures = 0
	l := ch.listeners[listener]
	a := arrival{fd: fd, local: l.isUnix(), label: l.label}
	switch {
	case len(ch.waiting) == 0 && ch.server.arrive():
		switch {
		case a.speaksTLS():
			ch.shakeHands(a)
		case !ch.passOn(a):
			ch.admit(ch.newConn(a))
		}
	case ch.config.Pause && ch.stopping:
		ch.admitAbove(ch.newConn(a))
	case ch.config.Pause:
		ch.makeWait(ch.newConn(a))
	default:
		ch.refuse(ch.newConn(a))
	}
}

func (ch *channel) newConn(a arrival) *conn {
	c := ch.conns.take(a.fd)
	c.label = a.label
	if a.local {
		c.set(flagLocal)
	}
	return c
}

// admit begins to serve c, which the server has counted in.
func (ch *channel) admit(c *conn) {
	if a := (arrival{fd: c.fd, label: c.label}); a.speaksTLS() {
		ch.conns.put(c) // it has a record again when its handshake is over
		ch.shakeHands(a)
		return
	}
	ch.load.Add(1)
	ch.open(c)
}

// open begins to serve c, which is counted in.
func (ch *channel) open(c *conn) {
	c.toLife(lifeServing)
	c.set(flagAnnounced)
	c.active = ch.second
	ch.stats.accepted.Add(1)
	ch.handler.Open(c.slot, contract.HandlerLabel(c.label))
	ch.engine.receive(c)
}

// refuse tells c that there is no room, and closes it.
func (ch *channel) refuse(c *conn) {
	ch.stats.rejected.Add(1)
	ch.server.turnedAway()
	out, why := ch.writerTo(c), refusal
	if contract.TLSLabel(c.label) != 0 {
		why = refusalAlert
	}
	out.Commit(copy(out.Reserve(len(why))[:len(why)], why))
	ch.finish(c)
}

// makeWait keeps c, for which there is no room, unserved, and stops accepting: what
// comes after it waits in the kernel's queue. An engine may have accepted more than one
// before it was told.
func (ch *channel) makeWait(c *conn) {
	ch.waiting = append(ch.waiting, c.token(kindNone))
	ch.server.turnedAway()
	if len(ch.waiting) > 1 {
		return
	}
	ch.pauseAccept()
	ch.engine.stopAccept()
	ch.server.full.Add(1)
	ch.admitWaiting() // one may have ended before it could know that this channel waits
}

// admitWaiting serves connections that waited, as far as there is room now. When none
// is left accepting goes on.
func (ch *channel) admitWaiting() {
	for len(ch.waiting) > 0 {
		t := ch.waiting[0]
		c := ch.conns.find(t.slot(), t.gen())
		if c != nil && !c.closing() {
			if !ch.server.arrive() {
				return
			}
			ch.admit(c)
		}
		ch.waiting = ch.waiting[1:]
	}
	ch.waiting = nil
	ch.server.full.Add(-1)
	ch.resumeAccept()
}

// admitAbove begins to serve c though there is no room: the server stops, and what waited for room is answered, and ends, with all others.
func (ch *channel) admitAbove(c *conn) {
	ch.server.conns.Add(1)
	ch.admit(c)
}

// admitAll serves all that waits for room, when the channel stops. What waits in the kernel's queue is accepted like this too, unless that
// has been handed over.
func (ch *channel) admitAll() {
	if len(ch.waiting) == 0 {
		return
	}
	for _, t := range ch.waiting {
		if c := ch.conns.find(t.slot(), t.gen()); c != nil && !c.closing() {
			ch.admitAbove(c)
		}
	}
	ch.waiting = nil
	ch.server.full.Add(-1)
	ch.endPause()
	if !ch.handingOver {
		ch.engine.accept()
	}
}

// acceptFailed takes an error of accept. It reports whether accepting goes on at once.
func (ch *channel) acceptFailed(errno syscall.Errno) bool {
	if errno == unix.ECANCELED {
		return false
	}
	ch.stats.acceptErrors.Add(1)
	if ch.acceptFailures++; ofOneConnection(errno) && ch.acceptFailures < acceptTries {
		return true
	}
	ch.restAccept(errno)
	return false
}

// ofOneConnection reports that an error of accept is not one of accepting, but of the connection that would have
// come: that one is gone, and the next may be better. What is missing here fails again: descriptors, memory, the
// permission, or a listener that is none any more.
func ofOneConnection(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNABORTED, unix.ECONNRESET, unix.EPROTO, unix.ETIMEDOUT, unix.EINTR, unix.EAGAIN,
		unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET, unix.ENOPROTOOPT:
		return true
	}
	return false
}

// restAccept stops trying to accept for a while. The engine has to stop it, too.
func (ch *channel) restAccept(err error) {
	if ch.acceptPaused || ch.stopping || ch.handingOver {
		return
	}
	ch.pauseAccept()
	ch.server.complain("not accepting connections", err)
	ch.setTimer()
}

// pauseAccept notes that the channel does not accept from here on.
func (ch *channel) pauseAccept() {
	if ch.acceptPaused {
		return
	}
	ch.acceptPaused = true
	ch.pausedAt = time.Now()
	ch.stats.acceptBackoffs.Add(1)
	ch.stats.paused.Store(1)
}

// resumeAccept ends a rest that acceptFailed or makeWait began, unless connections wait.
func (ch *channel) resumeAccept() {
	if !ch.acceptPaused || ch.stopping || ch.handingOver || len(ch.waiting) > 0 {
		return
	}
	ch.endPause()
	ch.setTimer()
	ch.engine.accept()
}

// endPause ends what pauseAccept noted.
func (ch *channel) endPause() {
	ch.acceptPaused = false
	ch.stats.paused.Store(0)
	ch.stats.acceptPausedUsec.Add(uint64(time.Since(ch.pausedAt).Microseconds()))
}

// The kernel spreads new connections over the channels by a hash of their addresses: many evenly enough, but eight over four channels
// leave one without any in four cases of ten. So a channel that accepts a connection passes it on to the one that has the fewest,
// unless it has about as few. A connection never moves later.

const (
	// passSlack: a channel may have more connections than another by this part of the other's.
	passSlack = 16
	// passChurn: when this many connections have ended lately (the count is halved at each tick), there are enough for the hash to spread them,
	// or they are too short to be worth the wake-up.
	passChurn = 1024
)

// arrival is a connection that was accepted and is not served yet.
type arrival struct {
	fd    int32
	local bool // came by the unix socket
	label uint8

	secured *secured // its TLS handshake has succeeded; nil: it has had none
}

// inbox holds the connections that others have passed on to a channel. Their descriptors belong to it. Any channel may put some in; its lock
// is held for moments.
type inbox struct {
	mu     sync.Mutex
	in     []arrival
	coming int  // direct descriptors that others are sending to the channel's ring, and handshakes of TLS
	done   bool // nothing is taken any more
}

// put adds a connection, unless nothing is taken any more. first says that there was none before: the channel has to be woken.
func (b *inbox) put(a arrival) (ok, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return false, false
	}
	b.in = append(b.in, a)
	return true, len(b.in) == 1
}

// expect counts a direct descriptor that is about to be sent, unless nothing is taken any more.
func (b *inbox) expect() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		b.coming++
	}
	return !b.done
}

// expects reports that something is on its way to the channel.
func (b *inbox) expects() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.coming > 0
}

// came ends what expect began.
func (b *inbox) came() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.coming--
}

// take returns what is in.
func (b *inbox) take() (in []arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in, b.in = b.in, nil
	return in
}

// shut reports that nothing is in, and nothing will be.
func (b *inbox) shut() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = len(b.in) == 0 && b.coming == 0
	return b.done
}

// passOn gives a connection that the server has counted in to the channel that has the fewest. It reports whether it did.
func (ch *channel) passOn(a arrival) bool {
	s := ch.server
	mine := ch.load.Load()
	// A channel that has no more than the average keeps it: most often it need not look at the others.
	if s.config.Stay || s.config.Steer || ch.stopping || ch.left > passChurn || int64(mine)*int64(len(s.channels)) < s.conns.Load() {
		return false
	}
	to := ch.claim(mine)
	if to == nil {
		return false
	}
	if !ch.engine.pass(a, to) {
		to.load.Add(-1)
		return false
	}
	ch.stats.passed.Add(1)
	return true
}

// give puts a into the inbox, unless nothing is taken any more. Any channel may call it.
func (ch *channel) give(a arrival) bool {
	ok, first := ch.inbox.put(a)
	if first {
		ch.wake()
	}
	return ok
}

// claim finds the channel with the fewest connections, and counts one in there. It returns nil if this one, which has mine, has about as few.
func (ch *channel) claim(mine int32) *channel {
	for {
		to, least := ch, mine
		for _, o := range ch.server.channels {
			if n := o.load.Load(); n < least {
				to, least = o, n
			}
		}
		if mine-least <= least/passSlack {
			return nil
		}
		if to.load.CompareAndSwap(least, least+1) {
			return to
		}
	}
}

// openPassed begins to serve what others have passed on.
func (ch *channel) openPassed() {
	for _, a := range ch.inbox.take() {
		ch.openArrival(a)
	}
}

// openArrival begins to serve a connection that is counted in.
func (ch *channel) openArrival(a arrival) {
	c := ch.newConn(a)
	if a.secured != nil {
		ch.openSecured(c, a.secured)
		return
	}
	ch.open(c)
}

// dropPassed closes what a channel that has ended was passed on. No channel may run any more.
func (ch *channel) dropPassed() {
	for _, a := range ch.inbox.take() {
		_ = unix.Close(int(a.fd))
		if a.secured != nil {
			a.secured.secrets.Zero()
		}
		ch.server.depart()
	}
}

// canSteer reports why channels can't be steered to by core.
func (c *Config) canSteer() error {
	if !c.Affinity {
		return errors.New("steering by core needs channels that are pinned to cores")
	}
	cores, err := usableCores()
	if err == nil && c.threads() > len(cores) {
		err = fmt.Errorf("steering by core: %d threads are more than the %d usable cores", c.threads(), len(cores))
	}
	return err
}

// group is the sockets of one address among which the kernel chooses (SO_REUSEPORT), in the kernel's order: that in which they were listened
// on, or, for UDP, bound. That is the order of their indices as long as none is closed.
func group(ls []listener, addr netip.AddrPort) (same []listener) {
	for _, l := range ls {
		if l.addr == addr && !l.shared {
			same = append(same, l)
		}
	}
	slices.SortStableFunc(same, byIndex)
	return same
}

func byIndex(a, b listener) int { return a.index - b.index }

// groups calls f for every address with all its sockets.
func (s *Server) groups(f func(same []listener) error) (err error) {
	var streams, dgrams []listener
	for _, ch := range s.channels {
		streams = append(streams, ch.listeners...)
		dgrams = append(dgrams, ch.datagrams...)
	}
	for _, all := range [][]listener{streams, dgrams} {
		for _, addr := range addresses(all) {
			if addr.IsValid() { // else it is a unix socket
				err = errors.Join(err, f(group(all, addr)))
			}
		}
	}
	return err
}

// steer makes the kernel choose by core (Config.Steer), or by hash again where the last owner of the sockets did otherwise. The program is
// the sockets' and stays as long as any of them.
func (s *Server) steer() error {
	if !s.config.Steer {
		if s.config.Inherited == nil {
			return nil
		}
		return s.groups(func(same []listener) error {
			_ = unix.SetsockoptInt(same[0].fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0) // an error says that it is so
			return nil
		})
	}
	cores, err := usableCores()
	if err != nil {
		return err
	}
	return s.groups(func(same []listener) error {
		if len(same) == 1 {
			return nil
		}
		program := steering(cores[:min(len(cores), len(s.channels))], len(same))
		if err := unix.SetsockoptSockFprog(same[0].fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{
			Len: uint16(len(program)), Filter: &program[0],
		}); err != nil {
			return fmt.Errorf("steering by core on %v: setsockopt SO_ATTACH_REUSEPORT_CBPF: %w", same[0].addr, err)
		}
		return nil
	})
}

// SKF_AD_OFF + SKF_AD_CPU of include/uapi/linux/filter.h: where a program finds the core that runs it.
const skfADCPU uint32 = 1<<32 - 0x1000 + 36

// steering is a program for the socket filter machine that returns the index of the socket to be chosen: that of the channel which is pinned
// to the core on which the packet is handled. Other cores have theirs by their number. Channel i, on cores[i], has socket i, or where there
// are fewer of them, i modulo their number.
func steering(cores []int, sockets int) []unix.SockFilter {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: skfADCPU}}
	for i, core := range cores {
		if i%sockets == core%sockets {
			continue // as below
		}
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(core)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(i % sockets)},
		)
	}
	return append(program,
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(sockets)},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_A},
	)
}

// usableCores lists the cores that the calling thread may use.
func usableCores() (cores []int, err error) {
	var usable unix.CPUSet
	if err := unix.SchedGetaffinity(0, &usable); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	for core, left := 0, usable.Count(); left > 0; core++ {
		if usable.IsSet(core) {
			cores = append(cores, core)
			left--
		}
	}
	return cores, nil
}

// pin binds the calling thread to the channel's core, if Config.Affinity says so.
func (ch *channel) pin() error {
	if !ch.config.Affinity {
		return nil
	}
	return pin(ch.id)
}

// pin binds the calling thread to the n-th core that it may use, round and round.
func pin(n int) error {
	cores, err := usableCores()
	if err != nil {
		return err
	}
	var one unix.CPUSet
	one.Set(cores[n%len(cores)])
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pinning a channel: %w", os.NewSyscallError("sched_setaffinity", err))
	}
	return nil
}

// turn is the time slice that a channel's thread asks for where handshakes run beside it: the least that Linux grants. Whoever has the shorter
// slice goes first when it wakes up, from Linux 6.12 on (sched(7); kernel/sched/fair.c, PREEMPT_SHORT); otherwise a channel waits until the
// thread on its core has had its turn, which takes milliseconds. Earlier kernels take the number and do not use it.
const turn = 100 * time.Microsecond

// shortenTurns asks for it, for the calling thread, unless that has a real-time priority.
func shortenTurns() error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return os.NewSyscallError("sched_getattr", err)
	}
	if attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return nil
	}
	attr.Runtime = uint64(turn)
	return os.NewSyscallError("sched_setattr", unix.SchedSetAttr(0, attr, 0))
}

// crowdPause is the least time between two log lines about connections above the limit.
const crowdPause = time.Minute

// crowd counts connections above Config.MaxConns for the log.
type crowd struct {
	turned atomic.Uint64 // away, or made to wait, and not told of yet
	told   atomic.Int64  // when that was last told, since the server's beginning; 0: never
}

// turnedAway notes that a connection was refused, or has to wait.
func (s *Server) turnedAway() {
	if !s.stopping.Load() {
		s.crowd.turned.Add(1)
		s.tellCrowd()
	}
}

// tellCrowd logs how many connections were above the limit, if there were any and the last time is long enough ago. It is called when there
// is one, and every second.
func (s *Server) tellCrowd() {
	now, last := int64(time.Since(s.began))+1, s.crowd.told.Load()
	if s.crowd.turned.Load() == 0 || last != 0 && now-last < int64(crowdPause) || !s.crowd.told.CompareAndSwap(last, now) {
		return
	}
	what := "refused"
	if s.config.Pause {
		what = "had to wait"
	}
	s.config.log(0, "the limit of %d connections (-c) was reached: %d %s", s.config.MaxConns, s.crowd.turned.Swap(0), what)
}
