package handshakes

import (
	"fmt"
	"iter"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// niceness is the nice value of the threads. Measured with two echoing threads on two processors, and 200 times a second an RSA signature
// and two X25519 exchanges, medians of 12 turns of 1.5 s: an echo's 99th percentile is 0.28 ms without those, 1.2 to 1.6 ms with each in a
// goroutine, 1.1 ms with all on one thread of normal priority, or on one of SCHED_BATCH, 0.39 ms with nice value 10, 0.37 ms with 19,
// 0.35 ms with SCHED_IDLE. With 10 a thread still gets a tenth of a processor that a channel uses up, with the others next to nothing: a
// server that is busy would accept nobody.
const niceness = 10

// Threads returns how many threads a pool has at most: one for two processors, so that established connections keep half of them even
// where the kernel does not grant a lower priority. Whoever sets GOMAXPROCS adds as many: a channel that returns from a system call
// must not wait until a handshake gives up its place in the runtime.
func Threads() int { return (runtime.NumCPU() + 1) / 2 }

// FilesMost is how many descriptors a pool has at most, beside those of the connections.
func FilesMost() int { return 2 * Threads() }

// thread is a thread of the pool, with an epoll set and the connections that were given to it. All but the inbox is its own.
type thread struct {
	pool       *Pool
	slots      int // handshakes that run at once
	epoll      int
	wake       int // an eventfd: the inbox, Hurry or Close
	running    int
	attempts   map[int]*attempt // by descriptor
	byDeadline list             // silent, queued, running
	lingerers  list
	queue      []*attempt
	closing    bool
	scratch    []byte

	mu    sync.Mutex
	inbox []*attempt
	ended bool // nobody looks at the inbox any more
}

// open makes the descriptors. After an error release closes what there is.
func (t *thread) open() (err error) {
	if t.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		t.epoll = -1
		return err
	}
	if t.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		t.wake = -1
		return err
	}
	return unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, t.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(t.wake)})
}

func (t *thread) release() {
	for _, fd := range []*int{&t.epoll, &t.wake} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// take hands a connection to the thread, from any other. It reports whether the thread is there to take it.
func (t *thread) take(a *attempt) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return false
	}
	t.pool.waiting.Add(1)
	if t.inbox = append(t.inbox, a); len(t.inbox) == 1 {
		t.wakeUp()
	}
	return true
}

// nudge makes the thread look at the pool's limits, unless it has ended.
func (t *thread) nudge() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.wakeUp()
	}
}

// wakeUp makes the thread look at its inbox and at the pool's limits. The caller holds mu, and has seen that the thread has not ended: then wake is open.
func (t *thread) wakeUp() {
	var one [8]byte
	one[0] = 1 // any number but zero, in any byte order
	_, _ = unix.Write(t.wake, one[:])
}

// run is the thread's loop.
func (t *thread) run() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine, and its priority with it
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness); err != nil {
		t.pool.complain("TLS handshakes have the priority of requests, which they can delay", err)
	}
	t.attempts = map[int]*attempt{}
	t.scratch = make([]byte, 4096)
	events := make([]unix.EpollEvent, 64)
	for !t.finished() {
		n, err := unix.EpollWait(t.epoll, events, t.sleep())
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("handshakes: epoll_wait: %v", err)) // our own mistake: no other error is left
		}
		for _, event := range events[:max(n, 0)] {
			if a := t.attempts[int(event.Fd)]; a != nil { // else it is wake
				t.progress(a)
			}
		}
		t.obey()
		t.expire(time.Now())
		t.admit()
	}
}

// finished reports whether the thread may end, and lets nobody else hand it a connection then.
func (t *thread) finished() bool {
	if !t.closing || len(t.attempts) > 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended = len(t.inbox) == 0; t.ended {
		t.release()
	}
	return t.ended
}

// sleep returns for how many milliseconds there is nothing to do but to wait for events; -1 is forever.
func (t *thread) sleep() int {
	if t.closing || len(t.queue) > 0 && t.running < t.slots {
		return 0
	}
	wait := -1
	for _, l := range []*list{&t.byDeadline, &t.lingerers} {
		if l.first != nil {
			ms := max(0, int((time.Until(l.first.deadline)+time.Millisecond-1)/time.Millisecond))
			if wait < 0 || ms < wait {
				wait = ms
			}
		}
	}
	return wait
}

// obey takes what is in the inbox, and what Hurry and Close ask for.
func (t *thread) obey() {
	var count [8]byte
	_, _ = unix.Read(t.wake, count[:])
	t.mu.Lock()
	inbox := t.inbox
	t.inbox = nil
	t.mu.Unlock()
	for _, a := range inbox {
		t.attempts[a.fd] = a
		t.byDeadline.add(a)
		if err := t.watch(unix.EPOLL_CTL_ADD, a.fd, unix.EPOLLIN); err != nil {
			t.pool.complain("connections are closed: cannot wait for their TLS handshakes", err)
			a.result.Outcome = handshake.Internal
			t.drop(a)
		}
	}
	hurry, closed := t.pool.limits()
	t.closing = closed
	if closed {
		hurry = time.Now()
	}
	if hurry.IsZero() {
		return
	}
	// The order by deadline stays.
	for a := t.byDeadline.last; a != nil && a.deadline.After(hurry); a = a.prev {
		a.deadline = hurry
	}
	if closed {
		for a := t.lingerers.first; a != nil; a = a.next {
			a.deadline = hurry
		}
	}
}

// watch waits for one event of a descriptor.
func (t *thread) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(t.epoll, op, fd, &unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(fd)})
}

// progress goes on with a connection that has an event.
func (t *thread) progress(a *attempt) {
	switch a.state {
	case silent:
		a.state = queued
		t.queue = append(t.queue, a)
	case running:
		t.resume(a)
	case lingering:
		if !discard(a.fd, t.scratch) || t.watch(unix.EPOLL_CTL_MOD, a.fd, unix.EPOLLIN) != nil {
			t.drop(a)
		}
	}
}

// expire ends what has no time left.
func (t *thread) expire(now time.Time) {
	for a := t.byDeadline.first; a != nil && !a.deadline.After(now); a = t.byDeadline.first {
		if a.state == running {
			a.conn.cut = true
			t.resume(a)
			continue
		}
		// It only gets the outcome that belongs to that, and does not read what may be there.
		a.result, a.err = t.pool.do(&conn{attempt: a, cut: true}, a.deadline, a.peer)
		t.drop(a)
	}
	for a := t.lingerers.first; a != nil && !a.deadline.After(now); a = t.lingerers.first {
		t.drop(a)
	}
}

// admit lets the first of the queue run, if there is a slot: one, since those that run already go first.
func (t *thread) admit() {
	for len(t.queue) > 0 {
		a := t.queue[0]
		waits := a.state == queued // else its time was up
		if waits && t.running == t.slots {
			return
		}
		t.queue[0] = nil
		t.queue = t.queue[1:]
		if waits {
			t.begin(a)
			return
		}
	}
}

// begin runs the handshake until it waits for the client.
func (t *thread) begin(a *attempt) {
	a.state = running
	t.running++
	t.pool.waiting.Add(-1)
	t.pool.running.Add(1)
	c := &conn{thread: t, attempt: a}
	a.conn = c
	c.resume, _ = iter.Pull(func(wait func(struct{}) bool) {
		c.wait = wait
		a.result, a.err = t.pool.do(c, a.deadline, a.peer)
	})
	t.resume(a)
}

// resume runs the handshake until it waits for the client, and takes the outcome when it has ended.
func (t *thread) resume(a *attempt) {
	if _, waits := a.conn.resume(); waits {
		return
	}
	a.conn = nil
	t.running--
	t.pool.running.Add(-1)
	if a.result.Outcome.OK() {
		t.giveBack(a)
		return
	}
	a.result.Secrets.Zero()
	clear(a.result.Leftover)
	if o := a.result.Outcome; t.closing || o == handshake.Timeout || o == handshake.Disconnected {
		t.drop(a)
		return
	}
	t.linger(a)
}

// giveBack returns the descriptor of a handshake that succeeded to the pool's user.
func (t *thread) giveBack(a *attempt) {
	delete(t.attempts, a.fd)
	t.byDeadline.remove(a)
	_ = unix.EpollCtl(t.epoll, unix.EPOLL_CTL_DEL, a.fd, nil)
	_ = makeBlocking(a.fd)
	a.done(a.result, true)
	a.result.Secrets.Zero()
}

// linger sees to it that the client can read its alert.
func (t *thread) linger(a *attempt) {
	t.byDeadline.remove(a)
	a.state = lingering
	a.deadline = time.Now().Add(lingerTime)
	t.lingerers.add(a)
	_ = unix.Shutdown(a.fd, unix.SHUT_WR)
	t.progress(a)
}

// drop closes a connection whose handshake failed.
func (t *thread) drop(a *attempt) {
	switch a.state {
	case silent, queued:
		t.pool.waiting.Add(-1)
		t.byDeadline.remove(a)
	case running:
		t.byDeadline.remove(a)
	case lingering:
		t.lingerers.remove(a)
	}
	a.state = ended
	delete(t.attempts, a.fd)
	_ = unix.EpollCtl(t.epoll, unix.EPOLL_CTL_DEL, a.fd, nil) // closing is not enough while a process that forks has a copy
	unix.Close(a.fd)
	if a.err != nil {
		t.pool.log(2, "<%d closed: its TLS handshake failed: %v", a.fd, a.err)
	}
	a.done(a.result, false)
}
