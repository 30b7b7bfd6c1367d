package load

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"ringcached/internal/fakeserver"
)

// Two loads on two servers run in turns. What each server was asked in a slice is what the load counts, and nothing
// is asked between slices.
func TestSlices(t *testing.T) { eachDriver(t, testSlices) }

func testSlices(t *testing.T, driver string) {
	for _, perConnection := range []int{0, 3} {
		var servers [2]*fakeserver.Server
		var loads [2]*Load
		w := DefaultWorkload()
		w.Connections, w.Keys, w.Pipeline, w.RequestsPerConnection = 10, 100, 2, perConnection
		for i := range servers {
			servers[i] = fakeserver.Start(t, nil)
			if err := (Endpoint{Addr: servers[i].Addr()}).Preload(t.Context(), &w); err != nil {
				t.Fatal(err)
			}
			var err error
			if loads[i], err = Start(t.Context(), Options{Endpoint: Endpoint{Addr: servers[i].Addr()}, Workload: w, Driver: driver, Threads: 2}); err != nil {
				t.Fatal(err)
			}
			defer loads[i].Stop()
		}
		asked := func(i int) (n int) {
			servers[i].Mu.Lock()
			defer servers[i].Mu.Unlock()
			for _, k := range servers[i].Used {
				n += k
			}
			return n
		}
		const slices, most = 5, 500 // a busy machine may let some pass without an operation
		sum := [2]int64{}
		for n := 0; n < slices || n < most && min(sum[0], sum[1]) == 0; n++ {
			i := []int{0, 1, 1, 0, 0}[n%slices]
			mine, other := asked(i), asked(1-i)
			s, err := loads[i].Measure(t.Context(), 20*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			sum[i] += s.Operations
			if s.Operations != int64(asked(i)-mine) || s.Errors() > 0 {
				t.Errorf("%d per connection: the load counts %+v, the server %d", perConnection, s.Counts, asked(i)-mine)
			}
			if asked(1-i) != other {
				t.Errorf("%d per connection: the other server was asked", perConnection)
			}
			if s.Elapsed < 20*time.Millisecond {
				t.Errorf("a slice of %v", s.Elapsed)
			}
			if i == 0 && s.Latency.TotalCount() != s.Operations {
				t.Errorf("%d operations, %d latencies", s.Operations, s.Latency.TotalCount())
			}
		}
		if min(sum[0], sum[1]) == 0 {
			t.Errorf("%d per connection: %d operations", perConnection, sum)
		}
		expectRest(t)
	}
}

// expectRest expects that loads between slices use no time: then there are moments in which the process does next to
// nothing.
func expectRest(t *testing.T) {
	t.Helper()
	const moment, moments = 100 * time.Millisecond, 30
	least := time.Duration(math.MaxInt64)
	for range moments {
		before := ownCPUTime()
		time.Sleep(moment)
		if least = min(least, ownCPUTime()-before); least < moment/5 {
			return
		}
	}
	t.Errorf("idle loads used %v in %v", least, moment)
}

// A load whose context ends does not wait for a server that is silent.
func TestSliceIsCutShort(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		silent := fakeserver.Start(t, func(int, []byte) ([]byte, bool) { return nil, false })
		l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: silent.Addr()}, Workload: SmallWorkload(nil), Driver: driver, Stall: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		if w, err := l.Measure(ctx, time.Minute); err != nil || !w.Ended || w.Operations != 0 || time.Since(began) > 30*time.Second {
			t.Errorf("%+v, %v after %v", w.Counts, err, time.Since(began))
		}
	})
}

// A slice ends with an error where the server dies, or falls silent.
func TestSliceFails(t *testing.T) {
	w := DefaultWorkload()
	w.Connections, w.Keys = 2, 100
	silent := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
		if n > 200 {
			return nil, false
		}
		return reply, false
	})
	l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: silent.Addr()}, Workload: w, Stall: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	if _, err := l.Measure(t.Context(), 100*time.Millisecond); err == nil {
		t.Error("a server that answers nothing made no slice fail")
	}
	if w, err := l.Measure(t.Context(), 100*time.Millisecond); !errors.Is(err, ErrStalled) || w.Operations != 0 {
		t.Errorf("after the load has failed: %+v, %v", w, err)
	}

	dead := fakeserver.Start(t, nil)
	l, err = Start(t.Context(), Options{Endpoint: Endpoint{Addr: dead.Addr()}, Workload: w})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	dead.Close()
	if _, err := l.Measure(t.Context(), 100*time.Millisecond); err == nil {
		t.Error("a dead server made no slice fail")
	}
}
