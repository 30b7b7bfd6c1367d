package handshakes

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// Pool runs handshakes. Its methods may be called from any goroutine.
type Pool struct {
	do      func(net.Conn, time.Time, handshake.Peer) (handshake.Result, error) // handshake.Server.Do
	timeout time.Duration
	log     func(level int, format string, args ...any)
	threads []*thread
	next    atomic.Uint32 // thread that gets the next connection
	running atomic.Int64
	waiting atomic.Int64

	mu         sync.Mutex
	started    bool // the threads run
	closed     bool
	hurry      time.Time // no handshake lasts longer; zero: no limit but the timeout
	complaints map[string]time.Time
	done       sync.WaitGroup // of threads
}

// complainEvery is how often the same complaint is made at most.
const complainEvery = time.Minute

// New returns a pool for handshakes of server, at most most at a time, each of which has the given time from Start on. log gets what
// fails for reasons of our own, at level 0, and why handshakes failed, at level 2.
func New(server *handshake.Server, most int, timeout time.Duration, log func(level int, format string, args ...any)) *Pool {
	p := &Pool{do: server.Do, timeout: timeout, log: log, complaints: map[string]time.Time{}}
	most = max(most, 1)
	n := min(Threads(), most)
	for i := range n {
		p.threads = append(p.threads, &thread{pool: p, slots: most/n + min(1, max(0, most%n-i)), epoll: -1, wake: -1})
	}
	return p
}

// Start takes an accepted TCP socket for its handshake, with any flags. peer is what its listener asks of clients.
//
// done is called once, on a thread of the pool, and must not wait. With ok, the descriptor is the caller's again, in blocking mode, and so are
// the result's secrets, which it zeroes. Without, the descriptor is closed, and the result says how it ended.
//
// Start fails by calling done, at once and on the caller's own thread, if the pool is closed or cannot start its threads.
func (p *Pool) Start(fd int, peer handshake.Peer, done func(result handshake.Result, ok bool)) {
	a := &attempt{fd: fd, deadline: time.Now().Add(p.timeout), done: done, peer: peer}
	if !p.ready() || !p.threads[p.next.Add(1)%uint32(len(p.threads))].take(a) {
		unix.Close(fd)
		done(handshake.Result{Outcome: handshake.Internal}, false)
	}
}

// ready starts the threads if they do not run. It reports whether they do.
func (p *Pool) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started || p.closed {
		return !p.closed
	}
	for _, t := range p.threads {
		if err := t.open(); err != nil {
			for _, t := range p.threads {
				t.release()
			}
			p.complainLocked("connections are closed: cannot start TLS handshakes", err)
			return false
		}
	}
	p.started = true
	for _, t := range p.threads {
		p.done.Go(t.run)
	}
	return true
}

// Hurry leaves every handshake, also those that start later, at most limit from now. The server stops.
func (p *Pool) Hurry(limit time.Duration) {
	p.mu.Lock()
	if until := time.Now().Add(limit); p.hurry.IsZero() || until.Before(p.hurry) {
		p.hurry = until
	}
	p.mu.Unlock()
	p.wakeAll()
}

// Close ends all handshakes, as their timeout would, and returns when done was called for each of them.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wakeAll()
	p.done.Wait()
}

func (p *Pool) wakeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started {
		for _, t := range p.threads {
			t.nudge()
		}
	}
}

// limits returns what Hurry and Close asked for.
func (p *Pool) limits() (hurry time.Time, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hurry, p.closed
}

// InProgress returns how many handshakes have a slot, and how many connections wait for one or for their client's first bytes.
func (p *Pool) InProgress() (running, waiting int) {
	return int(p.running.Load()), int(p.waiting.Load())
}

// complain logs that something fails, once in a while.
func (p *Pool) complain(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complainLocked(what, err)
}

func (p *Pool) complainLocked(what string, err error) {
	text := fmt.Sprintf("%s: %v", what, err)
	now := time.Now()
	if last, made := p.complaints[text]; made && now.Sub(last) < complainEvery {
		return
	}
	p.complaints[text] = now
	p.log(0, "%s", text)
}
