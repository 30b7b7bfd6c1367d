package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// PoliteResult is what became of the requests of a polite client in a stretch of time.
type PoliteResult struct {
	Operations int64     `json:"operations"` // that were answered
	Latency    Quantiles `json:"latency_us"` // since the request was due, also of those that are not answered yet
	FailedSets int64     `json:"failed_sets"`
	FailedGets int64     `json:"failed_gets"`
	Lost       int64     `json:"lost"`       // gets of keys that this client stored, uses all the time, and missed
	Wrong      int64     `json:"wrong"`      // replies that no correct server gives
	Broken     int64     `json:"broken"`     // requests whose connection failed
	Unanswered int64     `json:"unanswered"` // for more than a second at the end
	Problem    string    `json:"problem,omitempty"`
}

// Failed counts the requests that failed.
func (p *PoliteResult) Failed() int64 {
	return p.FailedSets + p.FailedGets + p.Lost + p.Wrong + p.Broken + p.Unanswered
}

const (
	politeConns = 8
	politeKeys  = 4 // of each connection, which nobody else uses
	politeValue = 200
	politeSets  = 5 // one request in so many
	// politeWait is how long a polite client waits in the kernel before it looks whether it is to stop.
	politeWait = 100 * time.Millisecond
	// politeNice is the client's niceness, where it may choose: it is the server that is measured.
	politeNice = -20
	// politePause is between two attempts to connect.
	politePause = 10 * time.Millisecond
)

// politeClient makes requests at a steady rate, whatever the server does: one that is due while its connection waits for a reply is late, and its
// latency counts from when it was due. Each connection has a thread that blocks in the kernel, so no scheduler but the kernel's delays it.
type politeClient struct {
	target *target
	period int64 // between two requests of a connection, nanoseconds
	noSets bool
	conns  []*politeConn
	stop   atomic.Bool
	all    sync.WaitGroup
}

// politeConn is a connection, which is the only one that uses its keys.
type politeConn struct {
	*politeClient
	number   int
	fd       int // -1: none
	requests int
	stored   [politeKeys]int // version of what the key holds; 0: unknown
	out, in  []byte

	mu      sync.Mutex // guards what follows
	due     int64      // when the request that is next, or under way, had to be sent
	result  PoliteResult
	latency *hdrhistogram.Histogram
}

// startPolite stores the keys of a polite client and starts its requests, so many per second.
func startPolite(ctx context.Context, addr string, rate float64, noSets bool) (*politeClient, error) {
	to, err := newTarget(ctx, addr, TransportTCP)
	if err != nil {
		return nil, err
	}
	p := &politeClient{target: to, period: int64(1e9 * politeConns / rate), noSets: noSets}
	for i := range politeConns {
		c := &politeConn{politeClient: p, number: i, fd: -1, in: make([]byte, 4096), latency: newHistogram()}
		p.conns = append(p.conns, c)
		for key := range politeKeys {
			if err := c.set(key); err != nil || c.result.Failed() > 0 {
				p.close()
				return nil, fmt.Errorf("the polite client stores its keys: %w%s", err, c.result.Problem)
			}
		}
	}
	context.AfterFunc(ctx, func() { p.stop.Store(true) })
	begin := now()
	for i, c := range p.conns {
		c.due = begin + int64(i)*p.period/politeConns
		p.all.Go(c.run)
	}
	return p, nil
}

// close ends the client.
func (p *politeClient) close() {
	p.stop.Store(true)
	p.all.Wait()
	for _, c := range p.conns {
		c.hangUp()
	}
}

// cut returns what happened since the last cut, and begins anew.
func (p *politeClient) cut() (sum PoliteResult) {
	latency, end := newHistogram(), now()
	for _, c := range p.conns {
		c.mu.Lock()
		r := &c.result
		for due := c.due; due < end; due += p.period {
			record(c.latency, end-due)
			if end-due > int64(time.Second) {
				r.Unanswered++
			}
		}
		sum.Operations += r.Operations
		sum.FailedSets += r.FailedSets
		sum.FailedGets += r.FailedGets
		sum.Lost += r.Lost
		sum.Wrong += r.Wrong
		sum.Broken += r.Broken
		sum.Unanswered += r.Unanswered
		sum.Problem = orDefault(sum.Problem, r.Problem)
		latency.Merge(c.latency)
		c.result = PoliteResult{}
		c.latency.Reset()
		c.mu.Unlock()
	}
	sum.Latency = quantiles(latency)
	return sum
}

func (c *politeConn) run() {
	runtime.LockOSThread() // never unlocked: the thread, which others should wait for, ends with the goroutine
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, politeNice)
	for !c.stop.Load() {
		if wait := c.due - now(); wait > 0 {
			ts := syscall.NsecToTimespec(min(wait, int64(politeWait)))
			_ = syscall.Nanosleep(&ts, nil)
			continue
		}
		err := c.request()
		if c.stop.Load() {
			return
		}
		c.mu.Lock()
		if err != nil {
			c.result.Broken++
			c.problem("%v", err)
		} else {
			c.result.Operations++
		}
		record(c.latency, now()-c.due)
		c.due += c.period
		c.mu.Unlock()
		if err != nil {
			time.Sleep(politePause)
		}
	}
}

// request makes the next request: gets and sets of each key in turn.
func (c *politeConn) request() error {
	c.requests++
	key := c.requests / politeSets % politeKeys
	if c.requests%politeSets == 0 && !c.noSets {
		return c.set(key)
	}
	return c.get((key + c.requests) % politeKeys)
}

func (c *politeConn) problem(format string, args ...any) {
	if c.result.Problem == "" {
		c.result.Problem = fmt.Sprintf(format, args...)
	}
}

// value is what a version of a key holds.
func (c *politeConn) value(key, version int) []byte {
	text := fmt.Appendf(nil, "%d/%d/%d;", c.number, key, version)
	return bytes.Repeat(text, politeValue/len(text)+1)[:politeValue]
}

func (c *politeConn) set(key int) error {
	version := c.requests + 1
	c.stored[key] = 0 // until it is known
	c.out = append(fmt.Appendf(c.out[:0], "set polite-%d-%d 0 0 %d\r\n", c.number, key, politeValue), c.value(key, version)...)
	reply, err := c.exchange(append(c.out, '\r', '\n'))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if string(reply) == "STORED\r\n" {
		c.stored[key] = version
		return nil
	}
	c.result.FailedSets++
	c.problem("%.80q in reply to a set", reply)
	return nil
}

func (c *politeConn) get(key int) error {
	version := c.stored[key]
	c.out = fmt.Appendf(c.out[:0], "get polite-%d-%d\r\n", c.number, key)
	reply, err := c.exchange(c.out)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	want := fmt.Appendf(nil, "VALUE polite-%d-%d 0 %d\r\n%s\r\nEND\r\n", c.number, key, politeValue, c.value(key, version))
	switch {
	case version == 0 && (string(reply) == "END\r\n" || bytes.HasPrefix(reply, []byte("VALUE "))): // whatever it is, its set failed
	case string(reply) == "END\r\n":
		c.result.Lost++
		c.problem("a key that is in use was missing")
		c.stored[key] = 0 // lost once
	case bytes.Contains(reply[:bytes.IndexByte(reply, '\n')], []byte("ERROR")):
		c.result.FailedGets++
		c.problem("%.80q in reply to a get", reply)
	case !bytes.Equal(reply, want):
		c.result.Wrong++
		c.problem("wrong reply to a get: %.120q", reply)
	}
	return nil
}

// exchange sends a request and returns the whole reply.
func (c *politeConn) exchange(request []byte) (reply []byte, err error) {
	defer func() {
		if err != nil {
			c.hangUp()
		}
	}()
	if c.fd < 0 {
		if err := c.connect(); err != nil {
			return nil, err
		}
	}
	for len(request) > 0 {
		n, err := syscall.Write(c.fd, request)
		if err != nil && !c.again(err) {
			return nil, fmt.Errorf("sending: %w", err)
		}
		request = request[max(n, 0):]
	}
	for n := 0; ; {
		more, err := syscall.Read(c.fd, c.in[n:])
		switch {
		case err != nil && c.again(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("receiving: %w", err)
		case more == 0:
			return nil, errClosedEarly
		}
		n += more
		reply = c.in[:n]
		if whole := bytes.HasSuffix(reply, []byte("\r\n")); whole && (!bytes.HasPrefix(reply, []byte("VALUE ")) || bytes.HasSuffix(reply, []byte("END\r\n"))) {
			return reply, nil
		}
		if n == len(c.in) {
			return nil, errors.New("the reply has no end")
		}
	}
}

// again reports that the error only is that the wait was long, and the client is to go on.
func (c *politeConn) again(err error) bool {
	return (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)) && !c.stop.Load()
}

func (c *politeConn) connect() error {
	fd, err := c.target.socket()
	if err != nil {
		return err
	}
	wait := syscall.NsecToTimeval(int64(politeWait))
	err = errors.Join(syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait), syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait))
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(c.target.addr.Port()), Addr: c.target.addr.Addr().As4()})
	}
	if err != nil {
		_ = syscall.Close(fd)
		return fmt.Errorf("connecting: %w", err)
	}
	c.fd = fd
	return nil
}

func (c *politeConn) hangUp() {
	if c.fd >= 0 {
		_ = syscall.Close(c.fd)
		c.fd = -1
	}
}
