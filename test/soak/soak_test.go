package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// behaviour is what some of the clients do, again and again.
type behaviour struct {
	name    string
	clients int
	once    func(ctx context.Context, s *server, r *rand.Rand) error
}

func behaviours() []behaviour {
	return []behaviour{
		{"text", 4, connected(20, text)},
		{"meta", 2, connected(20, meta)},
		{"binary", 2, connected(20, binaryMix)},
		{"datagrams", 2, someAnswered},
		{"large", 2, connected(5, large)},
		{"short", 2, connected(1, short)},
		{"die", 2, connected(1, die)},
		{"malformed", 1, connected(1, malformed)},
		{"badTLS", 1, badTLS},
		{"keyUpdates", 1, keyUpdates},
		{"slow", 3, alone(slow)},
		{"idle", 1, idle},
		{"storm", 1, storm},
		{"watch", 3, alone(watch)},
		{"administer", 1, alone(administer)},
	}
}

// connected does something some times on a connection of its own.
func connected(times int, do func(*client) error) func(context.Context, *server, *rand.Rand) error {
	return alone(func(ctx context.Context, c *client) error {
		for range times {
			if err := do(c); err != nil || ctx.Err() != nil {
				return err
			}
		}
		return nil
	})
}

// alone does something on a connection of its own.
func alone(do func(context.Context, *client) error) func(context.Context, *server, *rand.Rand) error {
	return func(ctx context.Context, s *server, r *rand.Rand) error {
		c, err := s.dial(r)
		if err != nil {
			return err
		}
		defer c.Close()
		return do(ctx, c)
	}
}

var errUnanswered = errors.New("no datagram was answered")

// someAnswered is a round of datagrams, of which some must be answered.
func someAnswered(_ context.Context, s *server, r *rand.Rand) error {
	answered, err := datagrams(s, r)
	if err == nil && answered == 0 {
		err = errUnanswered
	}
	return err
}

// load is all clients at work.
type load struct {
	s      *server
	t      *testing.T
	engine string
	kinds  []behaviour
	done   []atomic.Int64 // what each kind has done, to the end
	cuts   atomic.Int64
	failed chan struct{} // closed at the first failure
	once   sync.Once
}

// run lets the clients work for d, and on until it is enough, while between does what else there is to do.
func (l *load) run(d time.Duration, seed uint64, between func(ctx context.Context)) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	l.cuts.Store(0)
	l.done, l.failed = make([]atomic.Int64, len(l.kinds)), make(chan struct{})
	var wg sync.WaitGroup
	for k := range l.kinds {
		for i := range l.kinds[k].clients {
			r := rand.New(rand.NewPCG(seed, uint64(k)<<16+uint64(i)))
			wg.Go(func() { l.work(ctx, k, r) })
		}
	}
	end := time.After(d)
	between(ctx)
	<-end
	for limit := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := l.enough()
		if err == nil {
			break
		}
		if time.Now().After(limit) {
			l.t.Error(err)
			break
		}
	}
	cancel()
	wg.Wait()
	l.t.Logf("%v, %d connections were cut off as is in order", l.counts(), l.cuts.Load())
}

// enough says what has not happened yet: every kind of client is to have done something, and the server to have met what they are there for.
// After a failure it does not matter.
func (l *load) enough() error {
	select {
	case <-l.failed:
		return nil
	default:
	}
	for i := range l.done {
		if l.done[i].Load() == 0 {
			return fmt.Errorf("some kinds of clients have not come to an end: %v", l.counts())
		}
	}
	faults, err := l.s.faults()
	if err != nil {
		return err
	}
	for name, n := range faults {
		if n == 0 && (name != "enobufs" || l.engine == "uring") {
			return fmt.Errorf("%s is 0: the server did not come to that", name)
		}
	}
	return nil
}

func (l *load) counts() map[string]int64 {
	counts := make(map[string]int64)
	for i := range l.kinds {
		counts[l.kinds[i].name] = l.done[i].Load()
	}
	return counts
}

// work is one client.
func (l *load) work(ctx context.Context, kind int, r *rand.Rand) {
	for ctx.Err() == nil {
		select {
		case <-l.failed:
			return
		default:
		}
		switch err := l.kinds[kind].once(ctx, l.s, r); {
		case err == nil:
			l.done[kind].Add(1)
		case errors.Is(err, errCut):
			if l.cuts.Add(1); endsItself(l.kinds[kind].name) {
				l.done[kind].Add(1)
			}
		case !errors.Is(err, errUnanswered):
			l.t.Errorf("%s: %v", l.kinds[kind].name, err)
			l.once.Do(func() { close(l.failed) })
			return
		}
		sleep(ctx, time.Duration(r.IntN(10))*time.Millisecond)
	}
}

// endsItself reports that being cut off is what this kind of client works for.
func endsItself(kind string) bool {
	return kind == "die" || kind == "malformed" || kind == "badTLS" || kind == "slow"
}

// soakTime is how long the test takes, apart from what the pauses need.
func soakTime(t *testing.T) time.Duration {
	const usual = 10 * time.Second
	text := os.Getenv("RINGCACHED_SOAK")
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("RINGCACHED_SOAK: %v", err)
	}
	return max(d, usual)
}

// cycleTime is the longest time between two pauses.
const cycleTime = 30 * time.Second

func TestSoak(t *testing.T) {
	all := soakTime(t)
	cycles := max(int(all/cycleTime), 2)
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		fresh := start(t, engine)
		fresh.rest()
		if err := keyUpdates(t.Context(), fresh, rand.New(rand.NewPCG(1, 2))); err != nil { // handshakes have threads of their own, from the first one on
			t.Fatal(err)
		}
		goroutines := fresh.goroutines()

		s := start(t, engine)
		l := &load{s: s, t: t, engine: engine, kinds: behaviours()}
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d, %d cycles", seed, cycles)
		var before *holding // of the process that serves through the second half
		for cycle := range cycles {
			d := all / time.Duration(cycles)
			l.run(d, seed+uint64(cycle), func(ctx context.Context) {
				if cycle < cycles/2 {
					sleep(ctx, d/3)
					failed := s.handOver()
					t.Logf("handed over to process %d, after %d tries for which there were no descriptors", s.PID, failed)
				}
			})
			if t.Failed() {
				return
			}
			now := s.rest()
			t.Logf("cycle %d: %v", cycle, now)
			if cycle < cycles/2 || before == nil {
				before = now
			}
			now.compare(t, before)
		}
		faults, err := s.faults()
		t.Logf("%v, %v", faults, err)
		left := s.goroutines()
		t.Logf("goroutines %v, in a server that has just begun %v", left, goroutines)
		for by, n := range left {
			if n > goroutines[by] {
				t.Errorf("LEAK: %d goroutines that %s has started", n, by)
			}
		}
	})
}
