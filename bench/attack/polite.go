package attack

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/load"
)

// PoliteResult is what became of the requests of a polite client in a stretch of time.
type PoliteResult struct {
	Operations  int64          `json:"operations"` // that were answered
	Latency     load.Quantiles `json:"latency_us"` // since the request was due, also of those that are not answered yet
	FailedSets  int64          `json:"failed_sets"`
	FailedOther int64          `json:"failed_other"` // gets with an error or a wrong reply, broken connections, no reply for more than a second in the end
	Lost        int64          `json:"lost"`         // gets of keys that this client stored, uses all the time, and missed
	Problem     string         `json:"problem,omitempty"`
}

// Failed counts the requests that failed.
func (r *PoliteResult) Failed() int64 { return r.FailedSets + r.FailedOther + r.Lost }

const (
	politeConns = 8
	politeKeys  = 4 // of each connection, which nobody else uses
	politeValue = 200
	politeSets  = 5 // a request in that many is a set
	// politePause is how long a connection waits after a failure.
	politePause = 10 * time.Millisecond
)

// politeClient makes requests at a steady rate, whatever the server does: one that is due while its connection waits for a reply is late, and its
// latency counts from when it was due.
type politeClient struct {
	ctx    context.Context
	close  func() // ends the client
	addr   string
	period int64 // between two requests of a connection, nanoseconds
	noSets bool
	conns  []*politeConn
}

// politeConn is a connection, which is the only one that uses its keys.
type politeConn struct {
	*politeClient
	number   int
	conn     net.Conn // nil: none
	in       *bufio.Reader
	requests int
	stored   [politeKeys]int // version of what the key holds; 0: unknown

	mu      sync.Mutex // guards what follows
	due     int64      // when the request that is next, or under way, had to be sent
	result  PoliteResult
	latency *hdrhistogram.Histogram
}

// startPolite stores the keys of a polite client and starts its requests, at a rate per second.
func startPolite(ctx context.Context, addr string, rate float64, noSets bool) (*politeClient, error) {
	p := &politeClient{addr: addr, period: int64(1e9 * politeConns / rate), noSets: noSets}
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithCancel(ctx)
	var all sync.WaitGroup
	p.close = func() {
		cancel()
		all.Wait()
	}
	for i := range politeConns {
		c := &politeConn{politeClient: p, number: i, latency: load.NewHistogram()}
		p.conns = append(p.conns, c)
		for key := range politeKeys {
			err := c.set(key)
			if err == nil && c.result.Failed() > 0 {
				err = errors.New(c.result.Problem)
			}
			if err != nil {
				p.close()
				return nil, fmt.Errorf("the polite client stores its keys: %w", err)
			}
		}
	}
	begin := load.Now()
	for i, c := range p.conns {
		c.due = begin + int64(i)*p.period/politeConns
		all.Go(c.run)
	}
	return p, nil
}

// cut returns what happened since the last cut, and begins anew.
func (p *politeClient) cut() (sum PoliteResult) {
	latency, end := load.NewHistogram(), load.Now()
	for _, c := range p.conns {
		c.mu.Lock()
		r := &c.result
		for due := c.due; due < end; due += p.period {
			load.Record(c.latency, end-due)
			if end-due > int64(time.Second) {
				r.FailedOther++
				c.problem("no reply for more than a second")
			}
		}
		sum.Operations += r.Operations
		sum.FailedSets += r.FailedSets
		sum.FailedOther += r.FailedOther
		sum.Lost += r.Lost
		sum.Problem = cmp.Or(sum.Problem, r.Problem)
		latency.Merge(c.latency)
		c.result = PoliteResult{}
		c.latency.Reset()
		c.mu.Unlock()
	}
	sum.Latency = load.QuantilesOf(latency)
	return sum
}

func (c *politeConn) run() {
	for c.ctx.Err() == nil {
		if wait := c.due - load.Now(); wait > 0 {
			ts := syscall.NsecToTimespec(wait) // the runtime's timers are late by a millisecond
			_ = syscall.Nanosleep(&ts, nil)
			continue
		}
		err := c.request()
		if c.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		if err != nil {
			c.result.FailedOther++
			c.problem("%v", err)
		} else {
			c.result.Operations++
		}
		load.Record(c.latency, load.Now()-c.due)
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

// item is key, flags, length and value as they stand in requests and replies.
func (c *politeConn) item(key, version int, exptime string) string {
	text := fmt.Sprintf("%d/%d/%d;", c.number, key, version)
	return fmt.Sprintf("polite-%d-%d 0%s %d\r\n%s\r\n", c.number, key, exptime, politeValue, strings.Repeat(text, politeValue/len(text)+1)[:politeValue])
}

func (c *politeConn) set(key int) error {
	version := c.requests + 1
	c.stored[key] = 0 // until it is known
	reply, err := c.exchange("set " + c.item(key, version, " 0"))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if reply == "STORED\r\n" {
		c.stored[key] = version
	} else {
		c.result.FailedSets++
		c.problem("%.60q in reply to a set", reply)
	}
	return nil
}

func (c *politeConn) get(key int) error {
	version := c.stored[key]
	reply, err := c.exchange(fmt.Sprintf("get polite-%d-%d\r\n", c.number, key))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	miss := reply == "END\r\n"
	switch {
	case version == 0 && (miss || strings.HasPrefix(reply, "VALUE ")), reply == "VALUE "+c.item(key, version, "")+"END\r\n":
	case miss:
		c.result.Lost++
		c.problem("a key that is in use was missing")
		c.stored[key] = 0 // lost once
	default:
		c.result.FailedOther++
		c.problem("%.60q in reply to a get", reply)
	}
	return nil
}

// exchange sends a request and returns the whole reply.
func (c *politeConn) exchange(request string) (reply string, err error) {
	if c.conn == nil {
		if c.conn, err = load.Dial(c.ctx, c.addr, load.ConnectTimeout); err != nil {
			c.conn = nil
			return "", err
		}
		conn := c.conn
		context.AfterFunc(c.ctx, func() { _ = conn.Close() })
		c.in = bufio.NewReader(conn)
	}
	_, err = c.conn.Write([]byte(request))
	for err == nil {
		var line string
		line, err = c.in.ReadString('\n')
		if reply += line; err == nil && (line == "END\r\n" || !strings.HasPrefix(reply, "VALUE ")) {
			return reply, nil
		}
	}
	_ = c.conn.Close()
	c.conn = nil
	return "", err
}
