package attack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/load"
)

// PoliteResult is what became of the requests of a polite client in a stretch of time.
type PoliteResult struct {
	Operations  int64          `json:"operations"` // that were answered
	Latency     load.Quantiles `json:"latency_us"` // since the request was due, also of those that are not answered yet
	FailedSets  int64          `json:"failed_sets"`
	FailedOther int64          `json:"failed_other"` // bad replies to gets, broken connections, no reply for a second
	Lost        int64          `json:"lost"`         // gets of keys that this client stored, uses all the time, and missed
	Problem     string         `json:"problem,omitempty"`
}

// Failed counts the requests that failed.
func (r *PoliteResult) Failed() int64 { return r.FailedSets + r.FailedOther + r.Lost }

const (
	politeConns = 8
	politeKeys  = 4 // of each connection, which nobody else uses
	politeValue = 200
	politeSets  = 5                     // a request in that many is a set
	politePause = 10 * time.Millisecond // of a connection after a failure
)

// politeClient makes requests at a steady rate, whatever the server does: one that is due while its connection waits
// for a reply is late, and its latency counts from when it was due.
type politeClient struct {
	ctx    context.Context
	cancel func()
	all    sync.WaitGroup
	addr   string
	period int64 // between two requests of a connection, nanoseconds
	noSets bool

	mu      sync.Mutex         // guards what follows
	due     [politeConns]int64 // when the request that is next, or under way, on a connection had to be sent
	result  PoliteResult
	latency *hdrhistogram.Histogram
}

// politeConn is a connection, which is the only one that uses its keys.
type politeConn struct {
	*politeClient
	number   int
	conn     *load.Client // nil: none
	requests int
	stored   [politeKeys]int // version of what the key holds; 0: unknown
}

// startPolite stores the keys of a polite client and starts its requests, at a rate per second.
func startPolite(ctx context.Context, addr string, rate float64, noSets bool) (*politeClient, error) {
	p := &politeClient{addr: addr, period: int64(1e9 * politeConns / rate), noSets: noSets, latency: load.NewHistogram()}
	p.ctx, p.cancel = context.WithCancel(ctx)
	var conns []*politeConn
	for i := range politeConns {
		c := &politeConn{politeClient: p, number: i}
		conns = append(conns, c)
		for key := range politeKeys {
			if c.ask(key, true); p.result.Failed() > 0 || ctx.Err() != nil {
				p.close()
				return nil, fmt.Errorf("the polite client stores its keys: %w", cmp.Or(ctx.Err(), errors.New(p.result.Problem)))
			}
		}
	}
	for i := range p.due {
		p.due[i] = load.Now() + int64(i)*p.period/politeConns
	}
	p.cut()
	for _, c := range conns {
		p.all.Go(c.run)
	}
	return p, nil
}

// close ends the client.
func (p *politeClient) close() {
	p.cancel()
	p.all.Wait()
}

// cut returns what happened since the last cut, and begins anew.
func (p *politeClient) cut() PoliteResult {
	latency := load.NewHistogram()
	p.mu.Lock()
	end, r := load.Now(), p.result
	latency, p.latency, p.result = p.latency, latency, PoliteResult{}
	dues := p.due
	p.mu.Unlock()
	for _, due := range dues {
		for ; due < end; due += p.period {
			if load.Record(latency, end-due); end-due > int64(time.Second) {
				r.fail(&r.FailedOther, "no reply for more than a second")
			}
		}
	}
	r.Latency = load.QuantilesOf(latency)
	return r
}

// fail counts a failure as one of a kind, and keeps what was the first.
func (r *PoliteResult) fail(kind *int64, problem string) {
	*kind++
	r.Problem = cmp.Or(r.Problem, problem)
}

func (c *politeConn) run() {
	for c.ctx.Err() == nil {
		load.SleepUntil(c.ctx, c.due[c.number])
		key, set := c.requests/politeSets%politeKeys, c.requests%politeSets == 0 && !c.noSets
		if !set { // gets and sets of each key in turn
			key = (key + c.requests) % politeKeys
		}
		if c.ask(key, set); c.conn == nil {
			time.Sleep(politePause)
		}
	}
}

// item is key, flags, length and value as they stand in requests and replies.
func (c *politeConn) item(key, version int, exptime string) string {
	text := fmt.Sprintf("%d/%d/%d;", c.number, key, version)
	value := strings.Repeat(text, politeValue/len(text)+1)[:politeValue]
	return fmt.Sprintf("polite-%d-%d 0%s %d\r\n%s\r\n", c.number, key, exptime, politeValue, value)
}

// ask makes a request for a key, and counts what became of it.
func (c *politeConn) ask(key int, set bool) {
	c.requests++
	version := c.stored[key]
	request, want := fmt.Sprintf("get polite-%d-%d\r\n", c.number, key), "VALUE "+c.item(key, version, "")+"END\r\n"
	if set {
		version = c.requests
		request, want = "set "+c.item(key, version, " 0"), "STORED\r\n"
		c.stored[key] = 0 // until it is known
	}
	reply, err := c.exchange(request)
	if c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r, miss := &c.result, reply == "END\r\n"
	if err == nil {
		r.Operations++
	}
	switch {
	case err != nil:
		r.fail(&r.FailedOther, err.Error())
	case reply == want:
		c.stored[key] = version
	case set:
		r.fail(&r.FailedSets, fmt.Sprintf("%.60q in reply to a set", reply))
	case version == 0 && (miss || strings.HasPrefix(reply, "VALUE ")):
	case miss:
		r.fail(&r.Lost, "a key that is in use was missing")
		c.stored[key] = 0 // lost once
	default:
		r.fail(&r.FailedOther, fmt.Sprintf("%.60q in reply to a get", reply))
	}
	load.Record(c.latency, load.Now()-c.due[c.number])
	c.due[c.number] += c.period
}

// exchange sends a request and returns the whole reply.
func (c *politeConn) exchange(request string) (reply string, err error) {
	if c.conn == nil {
		if c.conn, err = (load.Endpoint{Addr: c.addr}).Connect(c.ctx); err != nil {
			return "", err
		}
	}
	err = c.conn.Exchange(request, func(line []byte) bool {
		reply += string(line)
		return string(line) != "END\r\n" && strings.HasPrefix(reply, "VALUE ")
	})
	if err != nil {
		c.conn.Close()
		c.conn = nil
	}
	return reply, err
}
