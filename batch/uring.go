package batch

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/ring"
)

const (
	ringEntries   = 512  // submissions; a batch with more of them is submitted in parts
	ringCQEntries = 4096 // completions: more than usually come at once, in memory that may count as locked
	recvGroup     = 0    // the group of the provided buffers
	leastBuffers  = 64   // of them with the kernel when little is to be received
)

// uringEngine is the completion way: one io_uring for the channel. A connection has
// one receive under way, multishot where the kernel has it, into buffers that all
// connections share. Replies are sent without waiting (MSG_DONTWAIT), so that every
// send has ended when its submission returns: the arena is free at once, and a
// connection never has two sends under way. Only what a socket does not take at once,
// its send queue, is sent by an operation that waits.
type uringEngine struct {
	ch       *channel
	features ring.Features

	r    *ring.Ring
	bufs *ring.BufRing

	multishot bool   // receives go on by themselves
	frugal    bool   // but not now: connections get one buffer at a time
	skip      bool   // successful sends have no completion
	sendFlags uint32 // of MSG_

	spill    []ring.CQE // completions copied out when the queue had overflowed
	rearms   []rearm    // connections whose receive starts again after this batch
	noBuffer []token    // connections that found no buffer, first come first served
	silent   []token    // connections whose receive may have missed an end since the last tick

	parkAfter uint32 // seconds without input, see longIdle

	datagrams uringDatagrams
	zeroCopy  zeroCopySends
	resting   resting

	inputs [][]byte // room for what is shown to Handler.Prefetch

	taken  uint32 // entries that are counted,
	calls  uint64 // and calls of io_uring_enter
	gather gather // where it chooses how many completions to wait for

	accepting []bool // for each listener: an accept is under way
	accepts   bool   // connections are wanted
	passing   int    // direct descriptors on their way to other rings
	polls     int    // wake-up and timer polls under way
}

func (e *uringEngine) start() error {
	var err error
	cfg := e.ch.config
	options := cfg.ringOptions()
	options.Features, options.MemoryWait, options.Use = e.features, cfg.memoryWait(), e.use()
	if e.r, err = ring.New(options); err != nil {
		return err
	}
	if err := e.startBusyPoll(); err != nil {
		return err
	}
	if e.bufs, err = ring.NewBufRing(e.r, recvGroup, leastBuffers, cfg.Buffers, cfg.BufferSize); err != nil {
		return err
	}
	e.ch.stats.buffersTotal.Store(uint64(cfg.Buffers))
	e.multishot = e.features.Has(ring.MultishotRecv)
	e.sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	// Where a thread of the kernel's sends, the first completion is what a wait for it ends with.
	if e.skip = e.features.Has(ring.PartialSend) && cfg.SQPoll == 0; e.skip {
		// With MSG_WAITALL a send that falls short counts as failed, so it has a
		// completion, which tells how short it fell.
		e.sendFlags |= unix.MSG_WAITALL
	}
	if err := e.startDirect(); err != nil {
		return err
	}
	e.startZeroCopy()
	e.gather = gather{timeout: cfg.Timeout, interval: cfg.Timeout, last: time.Now()}
	e.accepting = make([]bool, len(e.ch.listeners))
	e.inputs = make([][]byte, 0, contract.PrefetchMax)
	if err := e.startDatagrams(); err != nil {
		return err
	}
	e.parkAfter = parkSeconds(cfg.ParkAfter)
	e.pollFD(e.ch.wakeFD, kindWake)
	e.pollFD(e.ch.timerFD, kindTimer)
	return e.tryEnter()
}

// ringOptions are those of a channel's ring, but for the features and the wait for memory.
func (c *Config) ringOptions() ring.Options {
	return ring.Options{Entries: ringEntries, CQEntries: ringCQEntries, SQPoll: c.SQPoll, Operations: c.operations}
}

// use is what the channel needs its ring for. Direct descriptors and sends that do not copy exclude each other, see startZeroCopy.
func (e *uringEngine) use() *ring.Use {
	cfg, fs := e.ch.config, e.features
	direct := cfg.Direct && fs.Has(ring.DirectRelease)
	return &ring.Use{
		Datagrams:    len(e.ch.datagrams) > 0,
		ZeroCopy:     cfg.ZeroCopy > 0 && fs.Has(ring.SendmsgZC) && !direct,
		Direct:       direct,
		FixedInstall: direct && fs.Has(ring.FixedInstall),
		BusyPoll:     cfg.BusyPoll > 0 && fs.Has(ring.BusyPolling),
	}
}

// tryEnter enters the ring for the first time, so that a failure is one of the start.
func (e *uringEngine) tryEnter() error {
	_, errno := e.r.Submit()
	e.entered()
	switch errno {
	case 0, unix.EAGAIN, unix.EBUSY, unix.EINTR:
		return nil
	}
	return fmt.Errorf("io_uring_enter: %w", errno)
}

func (e *uringEngine) startBusyPoll() error {
	switch d := e.ch.config.BusyPoll; {
	case d == 0:
		return nil
	case !e.features.Has(ring.BusyPolling):
		return fmt.Errorf("busy polling: %w (requires >= 6.9, and CONFIG_NET_RX_BUSY_POLL)", ring.ErrNotSupported)
	default:
		return e.r.BusyPoll(d)
	}
}

// startDirect makes the table of direct descriptors when they were asked for and
// closing one closes its socket.
func (e *uringEngine) startDirect() error {
	if !e.ch.config.Direct {
		return nil
	}
	if !e.features.Has(ring.DirectRelease) {
		e.ch.config.log(0, "direct descriptors are off: this kernel may keep them open after a close (requires >= 6.13)")
		return nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	// A few more than connections are allowed, for those that are refused.
	slots := min(e.ch.config.MaxConns+64, int(min(limit.Cur, 1<<20)))
	if slots < e.ch.config.MaxConns+64 {
		e.ch.config.log(0, "direct descriptors: room for %d (RLIMIT_NOFILE); connections beyond are cut off without a word", slots)
	}
	if err := e.r.RegisterDirect(slots); err != nil {
		return err
	}
	e.ch.direct = true
	e.ch.ringFD.Store(int32(e.r.FD()))
	return nil
}

func (e *uringEngine) pollFD(fd int, k kind) {
	sqe := e.sqe()
	sqe.PrepPoll(fd, unix.POLLIN, true)
	e.queue(sqe, makeToken(k, 0, 0))
	e.polls++
}

// sqe returns a free submission entry; it submits what is queued when there is none.
func (e *uringEngine) sqe() *ring.SQE {
	for {
		if sqe := e.r.SQE(); sqe != nil {
			return sqe
		}
		e.submitSome()
	}
}

// submitSome submits until the kernel takes at least one entry. It takes all, unless it
// lacks memory at the moment: there is nothing to do then but to wait. Completions are
// left alone, as they may be just being walked through.
func (e *uringEngine) submitSome() {
	for !e.submit() {
		time.Sleep(time.Millisecond)
	}
}

// queue gives a prepared entry its token, and submits when enough are gathered.
func (e *uringEngine) queue(sqe *ring.SQE, t token) {
	sqe.SetUserData(uint64(t))
	if e.r.Pending() >= uint32(e.ch.config.Depth) {
		e.submit()
	}
}

// submit hands the queued entries over without waiting and reports whether any were taken. With Config.SQPoll all may have been,
// since the caller looked.
func (e *uringEngine) submit() bool {
	n, errno := e.r.Submit()
	e.entered()
	return errno == 0 && (n > 0 || e.r.Pending() == 0)
}

// submitAll makes sure that the kernel took every entry: a send that it did not take must
// not be settled.
func (e *uringEngine) submitAll() {
	for e.r.Pending() > 0 {
		e.submitSome()
	}
}

// entered counts the entries that were taken, and the system calls that it took: one, or with Config.SQPoll none or several.
func (e *uringEngine) entered() {
	st := &e.ch.stats
	n, calls := e.r.Taken()-e.taken, e.r.Calls()-e.calls
	e.taken += n
	e.calls += calls
	st.enters += calls
	st.syscalls += calls
	st.sqes += uint64(n)
	if n > 0 && calls > 0 {
		st.submitSizes.count(n)
	}
}

// spillOver copies unread completions out of the ring, so that the kernel has room for
// those it holds back.
func (e *uringEngine) spillOver() {
	n := e.r.Ready()
	for i := range n {
		e.spill = append(e.spill, *e.r.CQE(i))
	}
	e.r.Advance(n)
	_ = e.r.Enter(0, -1)
	e.entered()
}

func (e *uringEngine) poll(block bool) error {
	if err := e.enter(block && len(e.noBuffer) == 0); err != nil {
		return err
	}
	ch := e.ch
	e.submitAll()
	for e.r.Overflowed() {
		ch.stats.overflows.Add(1)
		e.spillOver()
	}
	n := e.r.Ready()
	total := n + uint32(len(e.spill))
	if len(ch.sent.replies) > 0 {
		e.settleSends(n)
	}
	ch.settle()
	ch.runModest()
	if total > 0 {
		ch.stats.batches++
		ch.stats.cqes += uint64(total)
		ch.stats.reapSizes.count(total)
		if ch.config.Wait == WaitAuto {
			e.gather.reaped(total, e.awaited(n), time.Now())
		}
		e.handleAll(n)
	}
	e.goOn()
	e.bufs.Publish()
	if out := uint64(e.bufs.Out()); out != ch.stats.buffersOut.Load() {
		ch.stats.buffersOut.Store(out)
	}
	if len(e.rearms) > 0 || len(e.noBuffer) > 0 {
		e.armAgain()
	}
	e.armDatagrams()
	return nil
}

// awaited is how many of the unread completions, spilled ones and n of the ring, count for the kernel's wait. Where it defers its work
// (ring.DeferTaskrun) those are the operations that have some: the completions of one receive follow one another.
func (e *uringEngine) awaited(n uint32) int {
	if !e.features.Has(ring.DeferTaskrun) {
		return len(e.spill) + int(n)
	}
	count, last := len(e.spill), uint64(0)
	for i := range n {
		if t := e.r.CQE(i).UserData; i == 0 || t != last {
			count++
			last = t
		}
	}
	return count
}

// enter submits what is queued and waits as configured.
func (e *uringEngine) enter(block bool) error {
	var errno syscall.Errno
	wait, timeout := e.ch.config.Wait, e.ch.config.Timeout
	if block && wait == WaitAuto {
		wait = e.gather.wait()
	}
	switch {
	case !block:
		errno = e.r.Enter(0, -1)
	case len(e.resting.tokens) > 0:
		errno = e.r.Enter(1, acceptRetry)
	case wait > 1 && e.features.Has(ring.MinTimeout):
		errno = e.r.EnterGather(uint32(wait), timeout)
	default:
		errno = e.r.Enter(1, -1)
	}
	e.entered()
	if block && wait > 1 && errno == 0 && len(e.resting.tokens) == 0 && !e.features.Has(ring.MinTimeout) && e.r.Ready() < uint32(wait) {
		errno = e.r.Enter(uint32(wait), timeout)
		e.entered()
	}
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY:
		return nil // what was not submitted is submitted next time
	case unix.EBADR:
		e.ch.stats.lostCQEs.Store(uint64(e.r.Lost()))
		e.ch.config.log(0, "the kernel lost completions for lack of memory")
		return nil
	}
	return fmt.Errorf("io_uring_enter: %w", errno)
}

// handleAll handles the completions that spillOver copied out, and then n of the ring.
func (e *uringEngine) handleAll(n uint32) {
	for i := range e.spill {
		e.handle(&e.spill[i])
	}
	e.spill = e.spill[:0]
	for i := range n {
		if i%contract.PrefetchMax == 0 {
			e.prefetch(i, min(i+contract.PrefetchMax, n))
		}
		cqe := *e.r.CQE(i)
		e.handle(&cqe)
	}
	e.r.Advance(n)
}

// prefetch shows the handler what came with the ring's completions with these indexes.
func (e *uringEngine) prefetch(from, to uint32) {
	e.inputs = e.inputs[:0]
	for i := from; i < to; i++ {
		cqe := e.r.CQE(i)
		if id, ok := cqe.Buffer(); ok && cqe.Res > 0 && token(cqe.UserData).kind().receives() && !e.ch.speaksTLS(token(cqe.UserData)) {
			e.inputs = append(e.inputs, e.bufs.Peek(id, int(cqe.Res)))
		}
	}
	if len(e.inputs) > 1 {
		e.ch.handler.Prefetch(e.inputs)
	}
}

// handle calls the handler of a completion's kind. Sends (kindSend) are settled before, see settleSends.
func (e *uringEngine) handle(cqe *ring.CQE) {
	t := token(cqe.UserData)
	switch t.kind() {
	case kindRecvMultishot:
		e.multishotReceived(t, cqe)
	case kindRecvSingle:
		e.singleReceived(t, cqe)
	case kindRecvUpload:
		e.uploadReceived(t, cqe)
	case kindPoll:
		e.inputPolled(t, cqe)
	case kindAccept:
		e.acceptEnded(t, cqe)
	case kindDrain:
		e.drainEnded(t, cqe)
	case kindSendZeroCopy:
		e.zeroCopyEnded(t, cqe)
	case kindRecvDatagram:
		e.datagramEnded(t, cqe)
	case kindSendDatagram:
		e.datagramSent(t, cqe)
	case kindPass:
		e.passEnded(t, cqe)
	case kindArrive:
		e.arrived(t, cqe)
	case kindInstall:
		e.installedLate(cqe)
	case kindWake:
		e.ch.woken()
		e.pollEnded(e.ch.wakeFD, t, cqe)
	case kindTimer:
		e.ch.ticked()
		e.pollEnded(e.ch.timerFD, t, cqe)
	case kindCancel, kindClose:
		e.ignoredEnded(cqe)
	}
}

func (e *uringEngine) pollEnded(fd int, t token, cqe *ring.CQE) {
	if cqe.More() {
		return
	}
	e.polls--
	switch {
	case cqe.Res >= 0:
		e.pollFD(fd, t.kind())
	case cqe.Res != -int32(unix.ECANCELED):
		e.rest(t, "cannot wait for wake-ups", syscall.Errno(-cqe.Res))
	}
}

// fix marks the entry's descriptor as a direct one where they are used.
func (e *uringEngine) fix(sqe *ring.SQE) {
	if e.ch.direct {
		sqe.SetFixed()
	}
}

func (e *uringEngine) cancel(t token) {
	sqe := e.sqe()
	sqe.PrepCancel(uint64(t))
	sqe.SkipSuccess()
	e.queue(sqe, makeToken(kindCancel, 0, 0))
}

func (e *uringEngine) release(c *conn) {
	e.resetZeroCopy(c)
	e.cancelReceive(c)
	if c.send == sendDraining {
		e.cancel(e.drainToken(c))
	}
	e.closeIdle(c)
}

// closeIdle closes c's descriptor once the kernel has nothing of it under way: before,
// no FIN would leave.
func (e *uringEngine) closeIdle(c *conn) {
	if c.underWay() {
		return
	}
	sqe := e.sqe()
	if e.ch.direct {
		sqe.PrepCloseDirect(int(c.fd))
	} else {
		sqe.PrepClose(int(c.fd))
	}
	sqe.SkipSuccess()
	e.queue(sqe, makeToken(kindClose, 0, 0))
	e.ch.freed(c)
}

// stop waits until the kernel has nothing under way and frees the ring.
func (e *uringEngine) stop() {
	e.stopZeroCopy()
	e.datagrams.stopping = true
	for i := 0; e.polls+e.datagrams.armed > 0 && i < 100; i++ {
		sqe := e.sqe()
		sqe.PrepCancelAll()
		e.queue(sqe, makeToken(kindCancel, 0, 0))
		if err := e.poll(true); err != nil {
			break
		}
	}
	e.free()
}

func (e *uringEngine) free() {
	e.datagrams.close()
	if e.bufs != nil {
		_ = e.bufs.Close()
	}
	if e.r != nil {
		_ = e.r.Close()
	}
	e.r, e.bufs = nil, nil
	e.ch.stats.buffersTotal.Store(0)
	e.ch.direct = false
	e.ch.ringFD.Store(0)
}

// An operation that the kernel ends at once with an error would end so again. Whoever only starts it again takes a whole core
// for nothing, and if the kernel refuses it nobody learns why. So what fails again rests for acceptRetry, all together.

// resting are operations that failed, by their tokens, and when they are tried again.
type resting struct {
	tokens []token
	until  time.Time
}

// rest makes the operation of the token wait, and logs why.
func (e *uringEngine) rest(t token, what string, errno syscall.Errno) {
	r := &e.resting
	if len(r.tokens) == 0 {
		r.until = time.Now().Add(acceptRetry)
	}
	r.tokens = append(r.tokens, t)
	e.ch.server.complain(what, errno)
}

// goOn starts what has rested long enough.
func (e *uringEngine) goOn() {
	r := &e.resting
	if len(r.tokens) == 0 || time.Now().Before(r.until) {
		return
	}
	tokens := r.tokens
	r.tokens = nil
	for _, t := range tokens {
		switch t.kind() {
		case kindWake:
			e.pollFD(e.ch.wakeFD, kindWake)
		case kindTimer:
			e.pollFD(e.ch.timerFD, kindTimer)
		case kindRecvDatagram:
			if d := &e.datagrams; !d.stopping {
				d.again = append(d.again, t)
			}
		case kindRecvSingle:
			e.rearms = append(e.rearms, rearm{t, true}) // armAgain looks whether it is still wanted
		case kindDrain:
			if c := e.ch.conns.find(t.slot(), t.gen()); c != nil && c.send != sendIdle && c.life != lifeReleasing {
				e.drain(c)
			}
		}
	}
}

// ignoredEnded takes the end of an operation whose success is of no interest: a cancel or a close.
func (e *uringEngine) ignoredEnded(cqe *ring.CQE) {
	if errno := syscall.Errno(-cqe.Res); cqe.Res < 0 && denied(errno) {
		e.ch.server.complain("cannot cancel operations or close connections", errno)
	}
}

const (
	gatherLeast  = 4   // completions that have to be expected within the timeout, or none is waited for
	gatherMemory = 8   // iterations over which the time between completions is averaged, about
	gatherShare  = 2   // one in this many of the expected ones is waited for, so that the wait seldom lasts to the timeout
	gatherMost   = 256 // completions that are waited for at most
	gatherTrust  = 256 // iterations until more are waited for than came when a wait did last to the timeout
)

// gather chooses how many completions to wait for (Config.Wait of WaitAuto): as many
// as come within Config.Timeout at the rate at which they have come lately, or rather
// half of them, so that most waits end before the timeout. Where so few come that it
// would only cost time, one.
//
// A few clients that each wait for their answer make no more completions at a time than
// they are, however fast they come one after another. That shows when a wait lasts to the timeout, and so
// brings less than was waited for. A kernel that defers its work counts operations: a multishot receive that got eight inputs
// has eight completions, and is one of those that are waited for (Linux 6.18).
type gather struct {
	timeout  time.Duration
	interval time.Duration // between two completions, on the average
	last     time.Time

	waited int // completions that this iteration waits for; 0: none
	enough int // operations that had some in the last wait that lasted to the timeout
	trust  int // iterations for which no more than that are waited for
}

// reaped notes that n completions, which is not 0, of so many operations came until now.
func (g *gather) reaped(n uint32, operations int, now time.Time) {
	// A long rest says nothing about the rate when work comes.
	each := min(now.Sub(g.last)/time.Duration(n), g.timeout)
	g.last = now
	g.interval += (each - g.interval) / gatherMemory
	if operations < g.waited {
		g.enough, g.trust = operations, gatherTrust
	} else if g.trust > 0 {
		g.trust--
	}
	g.waited = 0
}

// wait is the number of completions to wait for in this iteration.
func (g *gather) wait() int {
	g.waited = g.expected()
	if g.trust > 0 {
		g.waited = min(g.waited, g.enough)
	}
	return g.waited
}

// expected is that number by the rate alone.
func (g *gather) expected() int {
	if g.interval <= 0 {
		return 1
	}
	expected := int(g.timeout / g.interval)
	if expected < gatherLeast {
		return 1
	}
	return min(expected/gatherShare, gatherMost)
}

// Of a direct descriptor only operations of the ring know, and there is none that asks how much of a stream has been received or
// acknowledged. So when a connection ends the kernel makes an ordinary descriptor of it, for a moment.

// installTries is how often the outcome is looked for, where a thread of the kernel's makes it.
const installTries = 20

func (e *uringEngine) install(c *conn) (fd int, err error) {
	if !e.features.Has(ring.FixedInstall) {
		return -1, errNoDescriptor
	}
	if e.r.Ready() > ringCQEntries/2 { // completions are not to be lost sight of: these are handled first
		return -1, unix.EBUSY
	}
	sqe := e.sqe()
	sqe.PrepInstall(int(c.fd))
	t := c.token(kindInstall)
	e.queue(sqe, t)
	e.submitAll()
	for range installTries {
		if res, found := e.takeInstalled(t); found {
			return installed(res)
		}
		if e.ch.config.SQPoll == 0 {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	return -1, unix.EAGAIN
}

// takeInstalled takes the outcome of install out of the completions that have not been handled.
func (e *uringEngine) takeInstalled(t token) (res int32, found bool) {
	for i := e.r.Ready(); i > 0; i-- {
		if cqe := e.r.CQE(i - 1); token(cqe.UserData) == t {
			res, cqe.UserData, cqe.Res = cqe.Res, uint64(makeToken(kindNone, 0, 0)), 0
			return res, true
		}
	}
	return 0, false
}

// installedLate closes a descriptor that install has not waited for.
func (e *uringEngine) installedLate(cqe *ring.CQE) {
	if cqe.Res >= 0 {
		_ = unix.Close(int(cqe.Res))
	}
}

func installed(res int32) (fd int, err error) {
	if res >= 0 {
		return int(res), nil
	}
	if errno := syscall.Errno(-res); temporary(errno) {
		return -1, errno
	}
	return -1, errNoDescriptor
}
