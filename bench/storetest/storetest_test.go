package storetest

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/bench/evictsim"

	"ringcached/bench/fakeserver"
	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// fakeInstance is a fake server as the experiments see a server that they have started. Its process is this one.
func fakeInstance(s *fakeserver.Server) *sut.Instance {
	return &sut.Instance{Subject: &sut.Subject{Name: "fake"}, Addr: s.Addr()}
}

func TestFeederTellsWhatTheServerSays(t *testing.T) {
	s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
		if n == 3 {
			return []byte("SERVER_ERROR out of memory storing object\r\n"), false
		}
		return reply, false
	})
	f, err := load.OpenFeed(t.Context(), s.Addr(), 12, 40)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Store(0, 10); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("%v", err)
	}
	s.Close()
	if err := f.Store(0, 10); err == nil {
		t.Error("items were stored in a dead server")
	}
}

func TestDensityOfAFullServer(t *testing.T) {
	s := fakeserver.Start(t, nil)
	s.Room = 1500
	r := DensityRow{Server: "fake", KeySize: 20, ValueSize: 80, Target: 1600}
	if err := r.fill(t.Context(), fakeInstance(s), 1); err != nil {
		t.Fatal(err)
	}
	want := ClassUse{
		ID: 7, ChunkSize: 1000, Pages: 2, Items: 1500, Payload: 150_000, Headers: 75_000, ChunkEnds: 1_275_000, Free: 500_000, PageEnds: 2 * (pageSize - 1_000_000),
	}
	if r.Items != 1500 || len(r.Classes) != 2 || r.Classes[0] != want {
		t.Errorf("%+v", r)
	}
	sum := want.Payload + want.Headers + want.ChunkEnds + want.Free + want.PageEnds
	if sum != want.Pages*pageSize {
		t.Errorf("the parts are %d bytes of %d", sum, want.Pages*pageSize)
	}
	if c := r.Classes[1]; c.ID != 9 || c.Items != 0 || c.Free != 1_000_000 {
		t.Errorf("the empty class: %+v", c)
	}
	got := printed(&Density{MemoryMB: 64, Rows: []DensityRow{r, {Server: sut.Memcached, Target: 1, KeySize: 20, ValueSize: 80}}})
	for _, line := range []string{"20+80      fake             1500       0.0   1600 MISSED\n", "memcached           0       0.0             -\n", "fake            7    1000     2      1500   7.2 %, 3.6 %, "} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

func TestServerThatNeverEvicts(t *testing.T) {
	r := DensityRow{KeySize: 100, ValueSize: 900}
	if err := r.fill(t.Context(), fakeInstance(fakeserver.Start(t, nil)), 1); err == nil || !strings.Contains(err.Error(), "without an eviction") {
		t.Errorf("%v", err)
	}
}

func printed(r Result) string {
	var b bytes.Buffer
	r.Print(&b)
	return b.String()
}

func TestMemoryOfItems(t *testing.T) {
	s := fakeserver.Start(t, nil)
	r := MemoryRow{Server: "fake"}
	if err := r.fill(t.Context(), fakeInstance(s), 1000); err != nil {
		t.Fatal(err)
	}
	if r.Items != 1000 || r.Slabs != 3145728 || r.Index != 4096 || r.Seconds <= 0 {
		t.Errorf("%+v", r)
	}
	if got := r.beside(r.Slabs); got != 3145.728-52 {
		t.Errorf("%v bytes for an item beside its key and value", got)
	}
	s = fakeserver.Start(t, nil)
	s.Room = 500
	if err := (&MemoryRow{}).fill(t.Context(), fakeInstance(s), 2000); err == nil || !strings.Contains(err.Error(), "of 2000 items are there") {
		t.Errorf("%v", err)
	}
	r.Resident = 30 << 20
	got := printed(&Memory{Count: 1000, KeySize: 20, ValueSize: 32, MemoryMB: 16, Rows: []MemoryRow{r}})
	if !strings.Contains(got, "fake: resident 30 MB, -m and index 16 MB: ABOVE") {
		t.Errorf("%s", got)
	}
}

// patient is a flaw that changes nothing but the time: it lets no more than a few items be stored until another get was served, so that
// whoever counts gets while items are stored has something to count, however busy the machine. end ends that.
type patient struct {
	gets, stored atomic.Int64
	end          <-chan struct{}
}

func (p *patient) flaw(_ int, reply []byte) ([]byte, bool) {
	if len(reply) > 0 {
		p.gets.Add(1)
		return reply, false
	}
	if p.stored.Add(1)%100 == 0 {
		for before := p.gets.Load(); p.gets.Load() < before+2; {
			select {
			case <-p.end:
				return reply, false
			case <-time.After(time.Millisecond):
			}
		}
	}
	return reply, false
}

func TestPauseMeasuresBothParts(t *testing.T) {
	s := fakeserver.Start(t, (&patient{end: t.Context().Done()}).flaw)
	o := &Options{Seed: 1}
	p := &Pause{Count: 3000, Rate: 1_000_000}
	r := PauseRow{Server: "fake"}
	if err := r.measure(t.Context(), &storing{options: o}, fakeInstance(s), p); err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string]PausePart{"growth": r.Growth, "steady": r.Steady} {
		if part.Gets == 0 || part.Latency.P999 <= 0 || part.Latency.Max < part.Latency.P50 || part.Rate <= 0 {
			t.Errorf("%s: %+v", name, part)
		}
	}
	r.Growth.Latency.P999, r.Steady.Latency.P999 = 300, 100
	hasty := PauseRow{Server: "hasty"}
	peer := r
	peer.Server = sut.Memcached
	got := printed(&Pause{Rows: []PauseRow{r, peer, hasty}})
	if !strings.Contains(got, "fake: p99.9 while the index grows is 3.00 times") || strings.Count(got, "MISSED") != 1 || !strings.Contains(got, "hasty: p99.9 while the index grows is unknown") {
		t.Errorf("%s", got)
	}
}

func TestPauseTellsOfMisses(t *testing.T) {
	p := &patient{end: t.Context().Done()}
	s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
		if bytes.HasPrefix(reply, []byte("VALUE")) {
			reply = []byte("END\r\n")
		}
		return p.flaw(n, reply)
	})
	r := PauseRow{}
	err := r.measure(t.Context(), &storing{options: &Options{}}, fakeInstance(s), &Pause{Count: 3000, Rate: 1_000_000})
	if err == nil || !strings.Contains(err.Error(), "misses") {
		t.Errorf("%v", err)
	}
}

func TestEvictionTable(t *testing.T) {
	o := Options{Seed: 1, Traces: []string{"zipf-1.2", "mixed"}, Scale: Scale{SimKeys: 1000, SimSeeds: 2, Warmup: 1, Counted: 0.5}}
	usable, err := sut.UsableCores()
	if err != nil {
		t.Fatal(err)
	}
	o.Cores.Load = usable // as it was
	r, err := runEviction(t.Context(), &storing{options: &o, usable: usable})
	if err != nil {
		t.Fatal(err)
	}
	e := r.(*Eviction)
	if len(e.Rows) != 2*len(evictionSizes) || e.Rows[0].Trace != "zipf-1.2" || e.Rows[3].Trace != "mixed" {
		t.Fatalf("%+v", e.Rows)
	}
	for _, row := range e.Rows {
		for i, ratio := range row.Ratios {
			if ratio < 0.3 || ratio >= 1 {
				t.Errorf("%s, %d %%, %s: hit ratio %v", row.Trace, row.Percent, e.Policies[i], ratio)
			}
		}
	}
	if small, large := e.Rows[0].Ratios[0], e.Rows[2].Ratios[0]; small >= large {
		t.Errorf("LRU has %v with 1 %% of the keys and %v with 25 %%", small, large)
	}
	if got := printed(e); strings.Count(got, "\n") != 2+len(e.Rows)+len(evictsim.Kinds()) || !strings.Contains(got, "[6] S3-FIFO") {
		t.Errorf("%s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runEviction(ctx, &storing{options: &o, usable: usable}); err == nil {
		t.Error("a simulation that was given up has no error")
	}
}

func TestStoreOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Options){
		`experiment "dense" is not one of density`: func(o *Options) { o.Experiments = []string{"dense"} },
		`trace "zipf" is not one of zipf-0.7`:      func(o *Options) { o.Traces = []string{"zipf"} },
		"no server":                                func(o *Options) { o.Subjects = nil },
		"items: 10 is not in":                      func(o *Options) { o.Scale.Items = 10 },
		"memory: 1 is not in":                      func(o *Options) { o.Scale.DensityMB = 1 },
		"ratio-rate: 0 is not in":                  func(o *Options) { o.Scale.RatioRate = 0 },
		"sim-keys: 100 is not in":                  func(o *Options) { o.Scale.SimKeys = 100 },
		"/no/such/server":                          func(o *Options) { o.Servers.Path = "/no/such/server" },
		"server-threads: 0 is not ":                func(o *Options) { o.Servers.Threads = 0 },
	} {
		o := Options{Subjects: []string{sut.Ringcached}, Scale: QuickScale}
		o.Servers.Threads = 1
		change(&o)
		if _, err := Run(t.Context(), o, Observer{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

func TestIndexThatGrowsForEver(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s := fakeserver.Start(t, func(_ int, reply []byte) ([]byte, bool) {
		return bytes.Replace(reply, []byte("hash_is_expanding 0"), []byte("hash_is_expanding 1"), 1), false
	})
	if err := awaitIndex(ctx, fakeInstance(s)); err == nil {
		t.Error("an index that grows was taken for one that does not")
	}
}
