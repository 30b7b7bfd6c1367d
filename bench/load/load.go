package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Options says where a load goes and how it is made.
type Options struct {
	Endpoint `json:"-"`
	Workload Workload      `json:"-"`
	Threads  int           `json:"-"`        // 0: 1
	Driver   string        `json:"-"`        // one of the Driver constants; empty: auto
	Seed     uint64        `json:"seed"`     // of the keys that are drawn; the same seed draws the same keys
	Requests int64         `json:"requests"` // the load ends after that many requests; 0: when it is stopped
	Canned   bool          `json:"-"`        // the server is a NullServer: replies count by their length
	Stall    time.Duration `json:"-"`        // no reply for so long means that the server is dead; 0: 10 s
	Patience time.Duration `json:"-"`        // no reply for so long means that a request over UDP is lost; 0: 1 s
	inOrder  bool          // keys are not drawn: each comes once
	// Tick is called about once a second while Measure waits, on its goroutine.
	Tick func(elapsed time.Duration, operations int64) `json:"-"`
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	if err := o.Workload.Validate(); err != nil {
		return err
	}
	switch {
	case o.Canned && o.TLS != nil:
		return errors.New("tls: a null server does not speak TLS")
	case o.Canned && !o.Workload.SuitsNull():
		return errors.New("a null server cannot answer a mix of gets and sets, nor datagrams")
	case o.Threads > o.Workload.Connections:
		return fmt.Errorf("threads: %d threads for %d connections", o.Threads, o.Workload.Connections)
	}
	return cmp.Or(o.Endpoint.Validate(o.Workload.TransportOrTCP()), InRange("threads", o.Threads, 0, 256), AtLeast("requests", o.Requests, 0),
		OneOf("driver", cmp.Or(o.Driver, DriverAuto), DriverAuto, DriverRing, DriverEpoll))
}

// Load is the clients of one server, which do something in slices: while [Load.Measure] runs. Between slices a load
// keeps its connections and costs no CPU, so that several stand side by side. Stop must be called.
type Load struct {
	Driver string // which one runs

	options Options
	threads []*thread
	all     sync.WaitGroup  // of the threads
	life    context.Context // theirs; its cause is the first failure
	end     context.CancelCauseFunc
}

// DefaultStall is Options.Stall where none is given. On a machine with twenty busy processes for each core a server
// can be without the processor for seconds.
const DefaultStall = 10 * time.Second

// Start returns once every connection is open, or fails.
func Start(ctx context.Context, o Options) (*Load, error) {
	o.Threads, o.Stall = cmp.Or(o.Threads, 1), cmp.Or(o.Stall, DefaultStall)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	w := &o.Workload
	to, err := newTarget(o.Addr, w.TransportOrTCP(), w.RequestsPerConnection > 0 || w.Connections > 20_000)
	if err != nil {
		return nil, err
	}
	l := &Load{options: o}
	if l.Driver, err = chooseDriver(o.Driver); err != nil {
		return nil, err
	}
	var secure *tls.Config
	if o.TLS != nil && w.Resume {
		secure, err = o.session(ctx)
	} else if o.TLS != nil {
		secure, err = o.config()
	}
	if err != nil {
		return nil, err
	}
	l.life, l.end = context.WithCancelCause(context.Background())
	l.makeThreads(to, secure)
	for _, t := range l.threads {
		l.all.Go(func() {
			defer close(t.stopped)
			if err := t.run(l.Driver); err != nil {
				l.end(err)
			}
		})
	}
	limit := time.After(ConnectTimeout + time.Duration(w.Connections)*time.Millisecond)
	for _, t := range l.threads {
		select {
		case <-t.stopped: // connected
			err = l.failure()
		case <-ctx.Done():
			err = ctx.Err()
		case <-limit:
			err = fmt.Errorf("%s does not accept %d connections in time", o.Addr, w.Connections)
		}
		if err != nil {
			l.Stop()
			return nil, err
		}
	}
	return l, nil
}

// makeThreads divides connections, requests and the rate among the threads. secure is for handshakes, nil: connections are plain.
func (l *Load) makeThreads(to *target, secure *tls.Config) {
	o := &l.options
	w := &o.Workload
	keys := NewKeySpace(w.Keys, w.KeySize, w.ValueSize)
	share := func(total int64, i int) int64 {
		n, rest := total/int64(o.Threads), total%int64(o.Threads)
		if int64(i) < rest {
			n++
		}
		return n
	}
	canned := 0
	if o.Canned {
		_, canned = w.Sizes()
	}
	for i := range o.Threads {
		g := newGenerator(w, keys, o.Seed, uint64(i))
		if o.inOrder {
			next := uint32(0)
			g.draw = func() uint32 { next++; return next - 1 }
		}
		t := &thread{
			target: to, workload: w, rec: newRecorder(w.Rate > 0), patience: o.Patience, budget: math.MaxInt64,
			life: l.life, start: make(chan struct{}, 1), stopped: make(chan struct{}, 1),
		}
		if o.Requests > 0 {
			t.budget = share(o.Requests, i)
		}
		t.conns = make([]conn, share(int64(w.Connections), i))
		for n := range t.conns {
			t.conns[n] = conn{session: newSession(g, canned), index: n, fd: -1}
		}
		if secure != nil {
			t.encrypt(secure)
		}
		if w.Rate > 0 {
			t.rec.open = newOpenLoop(w.Rate*float64(len(t.conns))/float64(w.Connections), o.Seed, uint64(i))
		}
		t.line.conns = make([]*conn, 0, 2*len(t.conns))
		l.threads = append(l.threads, t)
	}
}

// failure is why the load ended before it was stopped; nil: it did not.
func (l *Load) failure() error {
	if err := context.Cause(l.life); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Session is what the load's connections agreed on with the server, nil without TLS. Call it after Stop, or between slices.
func (l *Load) Session() *Session {
	if r := l.threads[0].records; r != nil {
		return &r.session
	}
	return nil
}

// Stop ends the load and closes its connections. It may be called more than once.
func (l *Load) Stop() {
	l.end(nil)
	l.all.Wait()
}

// Problems tells what went wrong since the start. Call it after Stop, or between slices.
func (l *Load) Problems() (all Problems) {
	for _, t := range l.threads {
		for _, p := range t.rec.problems {
			all.Add(p)
		}
	}
	return all
}

// Window is what a load did in one slice.
type Window struct {
	// Elapsed is from the first request to the last reply: a little longer than was asked for.
	Elapsed time.Duration
	Counts
	times
	// Open says how the load kept to its rate; nil: a closed loop.
	Open *OpenLoop
	// Ended says that the load came to its end within the window, or that the window was cut short by the context.
	Ended bool
}

// PerSecond returns completed requests per second.
func (w *Window) PerSecond() float64 {
	if w.Elapsed <= 0 {
		return 0
	}
	return float64(w.Operations) / w.Elapsed.Seconds()
}

// ErrStalled is wrapped by the error for a server that stopped answering.
var ErrStalled = errors.New("the server stopped answering")

// Measure lets the load run for a slice of d. From then on no connection sends; the slice ends when every request is
// answered, lost or failed, so that the window's counts are of exactly the requests that were made in it. When the
// context ends, or the load has sent all that it may, the window is shorter and says so. It fails when the load
// failed or the server stopped answering; the window then holds what was seen until then, and the load is over: to
// measure it again fails likewise.
//
// The server may have a little left to do after the last reply, such as giving back buffers or closing short
// connections: wait a millisecond before reading its CPU time.
func (l *Load) Measure(ctx context.Context, d time.Duration) (*Window, error) {
	w := &Window{times: newTimes(l.options.Workload.Rate > 0)}
	start := time.Now()
	until := Now() + int64(d)
	for _, t := range l.threads {
		t.until.Store(until)
		t.waiting.Store(l.options.Workload.Rate == 0)
		select {
		case t.start <- struct{}{}:
		default: // it has ended
		}
	}
	err := l.watch(ctx, w, start)
	w.Elapsed = time.Since(start)
	if err != nil {
		l.end(err) // of whatever is measured later too
		l.Stop()
	}
	for _, t := range l.threads {
		t.rec.cut(w)
	}
	if w.Open != nil {
		w.Open.judge(w)
	}
	return w, err
}

// lastReplies is how long replies are waited for once the context has ended; then the load is over.
const lastReplies = 3 * time.Second

// watch waits until the slice is over, or the load ends or stalls.
func (l *Load) watch(ctx context.Context, w *Window, start time.Time) error {
	look := time.NewTicker(min(l.options.Stall/4, time.Second))
	defer look.Stop()
	var last int64
	moved := start
	end := ctx.Done()
	ended, grace := 0, (<-chan time.Time)(nil)
	for over := 0; over < len(l.threads); {
		select {
		case _, more := <-l.threads[over].stopped:
			over++
			if !more {
				ended++
			}
		case <-end:
			w.Ended, end, grace = true, nil, time.After(lastReplies)
			for _, t := range l.threads {
				t.until.Store(0)
			}
		case <-grace:
			l.Stop()
			return nil
		case <-look.C:
			n, waiting := int64(0), false
			for _, t := range l.threads {
				n += t.answered.Load()
				waiting = waiting || t.waiting.Load()
			}
			if l.options.Tick != nil {
				l.options.Tick(time.Since(start), n)
			}
			if n != last || !waiting {
				last, moved = n, time.Now()
			} else if quiet := time.Since(moved); quiet >= l.options.Stall {
				return fmt.Errorf("%w: no reply for %v", ErrStalled, quiet.Round(100*time.Millisecond))
			}
		}
	}
	w.Ended = w.Ended || ended == len(l.threads)
	return l.failure()
}
