package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/bench/trace"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Options says which trace is put to which server, and how.
type Options struct {
	Trace       string        `json:"trace"` // the file; trace.Standard: the standard input
	Addr        string        `json:"addr"`  // host:port, or unix: and the path of a socket
	Speed       float64       `json:"speed"` // 1: as recorded, 10: ten times as fast, 0: as fast as the server answers
	Connections int           `json:"connections"`
	Pipeline    int           `json:"pipeline"` // requests that a connection sends at once at most
	Fill        bool          `json:"fill"`     // a get that misses is followed by a set, as look-aside caches do
	TTL         string        `json:"ttl"`      // one of the TTL constants
	Limit       int64         `json:"limit"`    // requests; 0: all
	Duration    time.Duration `json:"duration_ns"`
	SkipBad     bool          `json:"skip_bad"` // malformed lines are counted instead of ending the replay
	// Stall is how long a server may take for a reply before it counts as dead; 0: 10 s.
	Stall time.Duration `json:"-"`
	// Tick is called about once a second, on a goroutine of its own.
	Tick func(Progress) `json:"-"`
}

// What becomes of the times to live in a trace.
const (
	TTLRecorded = "recorded" // they are passed on as they are
	TTLScaled   = "scaled"   // they are divided by the speed, and no less than a second
	TTLIgnored  = "ignored"  // nothing expires
)

// maxReplayPipeline bounds --pipeline.
const maxReplayPipeline = 1024

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	switch {
	case o.Trace == "":
		return errors.New("no trace")
	case !(o.Speed >= 0) || math.IsInf(o.Speed, 0):
		return fmt.Errorf("speed: %g is not 0 or above", o.Speed)
	case o.Connections < 1 || o.Connections > load.MaxConnections:
		return fmt.Errorf("connections: %d is not in 1..%d", o.Connections, load.MaxConnections)
	case o.Pipeline < 1 || o.Pipeline > maxReplayPipeline:
		return fmt.Errorf("pipeline: %d is not in 1..%d", o.Pipeline, maxReplayPipeline)
	case !slices.Contains([]string{TTLRecorded, TTLScaled, TTLIgnored}, o.TTL):
		return fmt.Errorf("ttl: %q is not one of %s, %s, %s", o.TTL, TTLRecorded, TTLScaled, TTLIgnored)
	case o.TTL == TTLScaled && o.Speed == 0:
		return errors.New("ttl: there is no speed to scale by with --speed 0")
	case o.Limit < 0:
		return fmt.Errorf("limit: %d is below 0", o.Limit)
	case o.Duration < 0:
		return fmt.Errorf("duration: %v is below 0", o.Duration)
	}
	return nil
}

// Run puts a trace to a server. The requests of a client of the trace go over one connection, in their order. Every reply is checked, and
// the first wrong one ends the replay, as do a connection that breaks, a server that stops answering and, unless they are to be skipped, a
// malformed line; the report then holds what came before. Error replies are counted. The end of the context only shortens the replay.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Stall == 0 {
		o.Stall = load.DefaultStall
	}
	report := &Report{Header: sut.NewHeader("replay", &o)}
	version, err := load.AskVersion(ctx, o.Addr)
	if err != nil {
		return nil, err
	}
	report.Servers[o.Addr] = sut.Server{Version: version}
	file, err := trace.Open(o.Trace)
	if err != nil {
		return nil, err
	}
	r := &replaying{options: &o, tally: newReplayTally()}
	result := &Result{Trace: o.Trace, Addr: o.Addr, Server: version, Speed: o.Speed}
	result.Before, _ = readServerMemory(ctx, o.Addr)
	if o.Speed > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)) // for the dispatcher, who sleeps in the kernel
	}
	r.began = time.Now()
	err = r.run(ctx, file)
	elapsed := time.Since(r.began)
	r.tally.result(result, elapsed)
	result.TraceSeconds = float64(max(r.last-r.first, 0))
	result.BadLines, result.FirstBadLine = r.badLines, r.firstBadLine
	result.Interrupted = ctx.Err() != nil
	if err == nil && result.Before != nil && ctx.Err() == nil {
		result.After, err = readServerMemory(ctx, o.Addr)
	}
	report.Replay = result
	report.Finish()
	return report, err
}

// replaying is a replay under way.
type replaying struct {
	options *Options
	tally   *replayTally
	began   time.Time
	ends    int64 // by the clock of now: when no more requests are sent; 0: there is no such time
	conns   []*replayConn
	pool    sync.Pool // of *replayRequest
	// extended and counted say that the trace has appended to values and changed them by arithmetic, from when on values may differ from
	// what was stored in these ways.
	extended, counted atomic.Bool

	// What follows belongs to the dispatcher until it has returned.
	first, last  int64 // seconds of the trace's time
	due          int64 // of the last request, by the clock of now
	badLines     int64
	firstBadLine string
}

// run replays the file, which it closes.
func (r *replaying) run(ctx context.Context, file *trace.File) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	batches := readTrace(life, file, r.options)
	if err := r.connect(life); err != nil {
		return err
	}
	if d := r.options.Duration; d > 0 {
		r.ends = load.Now() + int64(d)
	}
	var all sync.WaitGroup
	for _, c := range r.conns {
		stop := context.AfterFunc(life, func() { _ = c.conn.Close() })
		all.Go(func() {
			if err := c.run(); err != nil {
				end(err) // of no effect if the replay has ended
			}
			stop()
			_ = c.conn.Close()
		})
	}
	ticking := r.tick(life)
	err := r.dispatch(life, batches)
	for _, c := range r.conns {
		close(c.queue)
	}
	all.Wait()
	failed := context.Cause(life)
	end(nil)
	<-ticking
	if ctx.Err() != nil {
		return nil
	}
	if failed != nil {
		return failed
	}
	return err
}

// connect opens all connections.
func (r *replaying) connect(ctx context.Context) error {
	for range r.options.Connections {
		c, err := r.dial(ctx)
		if err != nil {
			for _, c := range r.conns {
				_ = c.conn.Close()
			}
			return fmt.Errorf("connecting: %w", err)
		}
		r.conns = append(r.conns, c)
	}
	return nil
}

// Progress tells where a replay is.
type Progress struct {
	Elapsed  time.Duration
	Requests int64   // answered
	HitRatio float64 // so far; NaN: no gets yet
	Late     time.Duration
}

// tick tells about the progress until the context ends; the channel is closed then.
func (r *replaying) tick(ctx context.Context) (ended <-chan struct{}) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		if r.options.Tick == nil {
			return
		}
		every := time.NewTicker(time.Second)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				p := r.tally.progress()
				p.Elapsed = time.Since(r.began)
				r.options.Tick(p)
			case <-ctx.Done():
				return
			}
		}
	}()
	return over
}

// ServerMemory is what a server says of its memory.
type ServerMemory struct {
	Items     int64 `json:"curr_items"`
	Bytes     int64 `json:"bytes"` // of items, with the server's headers
	Limit     int64 `json:"limit_maxbytes"`
	Evictions int64 `json:"evictions"` // since the server's start
}

// readServerMemory asks for the statistics. Servers that have none of the name, such as proxies, give an error.
func readServerMemory(ctx context.Context, addr string) (*ServerMemory, error) {
	stats, err := load.AskStats(ctx, addr, "")
	if err != nil {
		return nil, err
	}
	m := &ServerMemory{}
	for _, f := range []struct {
		name string
		to   *int64
	}{{"curr_items", &m.Items}, {"bytes", &m.Bytes}, {"limit_maxbytes", &m.Limit}, {"evictions", &m.Evictions}} {
		if *f.to, err = sut.StatNumber(stats, f.name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// traceKey makes the key that a server is asked for of the key in a trace: as long as the trace says that it was, and no longer than the
// protocol allows. A key that is shorter is padded; of one that is longer, or that no text protocol could carry, there is a hash.
func traceKey(dst []byte, r *trace.Record) []byte {
	size := r.KeySize
	if size == 0 {
		size = len(r.Key)
	}
	size = min(size, load.MaxKeySize)
	at := len(dst)
	if len(r.Key) <= size && !slices.ContainsFunc(r.Key, unprintable) {
		dst = append(dst, r.Key...)
	} else {
		dst = appendKeyHash(dst, r.Key, size)
	}
	return append(dst, padding[:at+size-len(dst)]...)
}

// unprintable reports that a byte may not be in a key.
func unprintable(c byte) bool { return c <= ' ' || c == 0x7f }

var padding = strings.Repeat("-", load.MaxKeySize)
