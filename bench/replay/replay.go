package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/trace"
)

// Options says which trace is put to which server, and how.
type Options struct {
	Trace string `json:"trace"` // the file; trace.Standard: the standard input
	load.Endpoint
	Speed       float64       `json:"speed"` // 1: as recorded, 10: ten times as fast, 0: as fast as the server answers
	Connections int           `json:"connections"`
	Pipeline    int           `json:"pipeline"` // requests that a connection sends at once at most
	Fill        bool          `json:"fill"`     // a get that misses is followed by a set, as look-aside caches do
	TTL         string        `json:"ttl"`      // one of the TTL constants
	Limit       int64         `json:"limit"`    // requests; 0: all
	Duration    time.Duration `json:"duration_ns"`
	SkipBad     bool          `json:"skip_bad"` // what is no request in the trace is counted instead of ending the replay
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

// What --pipeline and --speed may be at most.
const (
	maxPipeline = 1024
	maxSpeed    = 1e12
)

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	switch {
	case o.Trace == "":
		return errors.New("no trace")
	case o.TTL == TTLScaled && o.Speed == 0:
		return errors.New("ttl: there is no speed to scale by with --speed 0")
	}
	return cmp.Or(
		o.Endpoint.Validate(cmp.Or(load.TransportOf(o.Addr), load.TransportTCP)),
		load.InRange("speed", o.Speed, 0, maxSpeed),
		load.InRange("connections", o.Connections, 1, load.MaxConnections),
		load.InRange("pipeline", o.Pipeline, 1, maxPipeline),
		load.OneOf("ttl", o.TTL, TTLRecorded, TTLScaled, TTLIgnored),
		load.AtLeast("limit", o.Limit, 0),
		load.AtLeast("duration", o.Duration, 0),
	)
}

// Run puts a trace to a server. The requests of a client of the trace go over one connection, in their order. Every
// reply is checked, and the first wrong one ends the replay, as do a connection that breaks, a server that stops
// answering and, unless it is to be skipped, what is no request in the trace; the report then holds what came before.
// Error replies are counted. The end of the context only shortens the replay.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Stall == 0 {
		o.Stall = load.DefaultStall
	}
	report := &Report{Header: sut.NewHeader("replay", &o)}
	version, err := o.AskVersion(ctx)
	if err != nil {
		return nil, err
	}
	report.Servers[o.Addr] = sut.Server{Version: version}
	file, err := trace.Open(o.Trace)
	if err != nil {
		return nil, err
	}
	if o.Speed > 0 && !file.Timed() {
		_ = file.Close()
		return nil, fmt.Errorf("%s says no times: replay it with --speed 0, or give it times (gen --from %[1]s --rate N)",
			o.Trace)
	}
	file.SkipBad = o.SkipBad
	r := &replaying{options: &o, tally: newTally()}
	r.result = &Result{Trace: o.Trace, Format: file.Format().String(), Addr: o.Addr, Server: version, Speed: o.Speed}
	r.result.Before, _ = serverMemory(ctx, o.Endpoint)
	if o.Speed > 0 {
		// One more for the dispatcher, who sleeps in the kernel.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1))
	}
	began := time.Now()
	err = r.run(ctx, file)
	r.tally.finish(r.result, time.Since(began))
	r.result.Interrupted = ctx.Err() != nil
	if err == nil && r.result.Before != nil && ctx.Err() == nil {
		r.result.After, err = serverMemory(ctx, o.Endpoint)
	}
	report.Replay = r.result
	report.Finish()
	return report, err
}

// replaying is a replay under way.
type replaying struct {
	options *Options
	tally   *tally
	result  *Result // the dispatcher's, until it has returned
	ends    int64   // by load.Now: when no more requests are sent; 0: there is no such time
	conns   []*conn
	// extended and counted say that the trace has appended to values and changed them by arithmetic, from when on
	// values may differ from what was stored in these ways.
	extended, counted atomic.Bool
}

// run replays the file, which it closes.
func (r *replaying) run(ctx context.Context, file *trace.File) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	batches := make(chan *batch)
	go newAhead(file, r.options).run(life, batches)
	for range r.options.Connections {
		c, err := r.dial(life) // whose end closes it
		if err != nil {
			return err
		}
		r.conns = append(r.conns, c)
	}
	if d := r.options.Duration; d > 0 {
		r.ends = load.Now() + int64(d)
	}
	var all, ticking sync.WaitGroup
	for _, c := range r.conns {
		all.Go(func() {
			defer c.Close()
			if err := c.run(); err != nil {
				end(err) // of no effect if the replay has ended
			}
		})
	}
	ticking.Go(func() { r.tick(life) })
	err := r.dispatch(life, batches)
	for _, c := range r.conns {
		close(c.queue)
	}
	all.Wait()
	failed := context.Cause(life)
	end(nil)
	ticking.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return cmp.Or(failed, err)
}

// Progress tells where a replay is.
type Progress struct {
	Elapsed  time.Duration
	Requests int64   // answered
	HitRatio float64 // so far; NaN: no gets yet
	Late     time.Duration
}

// tick tells about the progress until the context ends.
func (r *replaying) tick(ctx context.Context) {
	every, began := time.NewTicker(time.Second), time.Now()
	defer every.Stop()
	for r.options.Tick != nil {
		select {
		case <-every.C:
			r.options.Tick(r.tally.progress(time.Since(began)))
		case <-ctx.Done():
			return
		}
	}
}
