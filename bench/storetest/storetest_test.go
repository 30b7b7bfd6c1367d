package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/bench/evictsim"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
)

// probeOf is a probe of a fake server as if the experiments had started it.
func probeOf(ctx context.Context, s *fakeserver.Server) *probe {
	return &probe{ctx: ctx, Instance: &sut.Instance{Subject: &sut.Subject{Name: "fake"}, Endpoint: load.Endpoint{Addr: s.Addr()}}}
}

func TestFeederTellsWhatTheServerSays(t *testing.T) {
	s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
		if n == 3 {
			return []byte("SERVER_ERROR out of memory storing object\r\n"), false
		}
		return reply, false
	})
	f, err := load.Endpoint{Addr: s.Addr()}.OpenFeed(t.Context(), 12, 40)
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
	p := probeOf(t.Context(), s)
	defer p.close()
	if g := p.fillUp(20, 80, 1); p.err != nil || g.items != 1500 {
		t.Errorf("%+v, %v", g, p.err)
	}
	got := p.classes(100)
	if p.err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, p.err)
	}
	part := func(bytes float64) float64 { return 100 * bytes / (2 * pageSize) }
	want := []any{7, int64(1000), int64(2), int64(1500), part(150_000), part(75_000), part(1_275_000), part(500_000), part(2*pageSize - 2_000_000)}
	if !slices.Equal(got[0], want) {
		t.Errorf("class %v\nwant  %v", got[0], want)
	}
	sum := 0.0
	for _, p := range got[0][4:] {
		sum += p.(float64)
	}
	if sum < 99.999 || sum > 100.001 {
		t.Errorf("the parts are %v %% of the pages", sum)
	}
	if c := got[1]; c[0] != 9 || c[3] != int64(0) || c[7].(float64) <= 0 {
		t.Errorf("the empty class: %v", c)
	}
}

func TestServerThatNeverEvicts(t *testing.T) {
	p := probeOf(t.Context(), fakeserver.Start(t, nil))
	defer p.close()
	if p.fillUp(100, 900, 1); p.err == nil || !strings.Contains(p.err.Error(), "without an eviction") {
		t.Errorf("%v", p.err)
	}
}

func TestTable(t *testing.T) {
	r := &Result{}
	r.note("-m %d", 64)
	table := r.table("server|%s", "items|%d", "seeds", "hits|%.1f")
	table.add("fake", 1500, []int{1}, 12.34)
	table.add("a", nil, nil, 7.0)
	r.verdict("so it is")
	var b bytes.Buffer
	if r.Print(&b); b.String() != "  -m 64\n  server  items  hits\n  fake     1500  12.3\n  a           -   7.0\n  so it is\n\n" {
		t.Errorf("%s", &b)
	}
}

func TestMemoryOfItems(t *testing.T) {
	s := fakeserver.Start(t, nil)
	r := &Result{}
	table := r.table()
	p := probeOf(t.Context(), s)
	defer p.close()
	if r.storeMany(p, table, 1000, 16); p.err != nil {
		t.Fatal(p.err)
	}
	row := table.Rows[0]
	if row[0] != "fake" || row[3] != 3.0 || row[4] != mega(4096) || row[7] != 3145.728-52 || row[8].(float64) <= 0 {
		t.Errorf("%v", row)
	}
	if !strings.Contains(r.Verdicts[0], "-m and index 16 MB: within") {
		t.Errorf("%q", r.Verdicts)
	}
	s = fakeserver.Start(t, nil)
	s.Room = 500
	full := probeOf(t.Context(), s)
	defer full.close()
	if r.storeMany(full, table, 2000, 16); full.err == nil || !strings.Contains(full.err.Error(), "of 2000 items are there") {
		t.Errorf("%v", full.err)
	}
	if judgeMemory(30<<20, 16<<20) != "ABOVE" || judgeMemory(16<<20, 16<<20) != "within" {
		t.Error("what is above the limit is not ABOVE")
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
	r := &Result{}
	table := r.table()
	p := probeOf(t.Context(), s)
	defer p.close()
	if r.measurePause(p, table, 1, 3000, 1_000_000); p.err != nil {
		t.Fatal(p.err)
	}
	if len(table.Rows) != 2 || len(r.Verdicts) != 1 {
		t.Fatalf("%+v", r)
	}
	for _, row := range table.Rows {
		if row[6].(int64) == 0 || row[4].(float64) <= 0 || row[5].(float64) < row[2].(float64) || row[7].(float64) <= 0 {
			t.Errorf("%v", row)
		}
	}
	r.Verdicts = nil
	r.judgePause("fake", []float64{300, 100}, 0)
	r.judgePause(sut.Memcached, []float64{300, 100}, 0)
	r.judgePause("hasty", []float64{300}, 0)
	got := strings.Join(r.Verdicts, "\n")
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
	r, probe := &Result{}, probeOf(t.Context(), s)
	defer probe.close()
	if r.measurePause(probe, r.table(), 1, 3000, 1_000_000); probe.err == nil || !strings.Contains(probe.err.Error(), "misses") {
		t.Errorf("%v", probe.err)
	}
}

func TestEvictionTable(t *testing.T) {
	o := Options{Seed: 1, Traces: []string{"zipf-1.2", "mixed"}, Scale: Scale{SimKeys: 1000, SimSeeds: 2, Warmup: 1, Counted: 0.5}}
	usable, err := sut.UsableCores()
	if err != nil {
		t.Fatal(err)
	}
	o.Cores.Load = usable // as it was
	r := &Result{}
	if err := runEviction(t.Context(), &session{options: &o, usable: usable, say: func(string) {}}, r); err != nil {
		t.Fatal(err)
	}
	rows := r.Tables[0].Rows
	if len(rows) != 2*len(evictionSizes) || rows[0][0] != "Zipf 1.2" || rows[3][0] != "Zipf 0.99, mixed sizes" {
		t.Fatalf("%+v", rows)
	}
	n := len(evictsim.Kinds())
	for _, row := range rows {
		for i := range n {
			if hits, writes := row[2+i].(float64), row[2+n+i].(float64); hits < 30 || hits >= 100 || writes <= 0 || writes > 1 {
				t.Errorf("%s, %d %%, policy %d: hits %v %%, writes %v", row[0], row[1], i+1, hits, writes)
			}
		}
	}
	if small, large := rows[0][2].(float64), rows[2][2].(float64); small >= large {
		t.Errorf("LRU has %v with 1 %% of the keys and %v with 25 %%", small, large)
	}
	if got := strings.Join(r.Verdicts, "\n"); len(r.Verdicts) != n || !strings.Contains(got, "[6] S3-FIFO") {
		t.Errorf("%s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runEviction(ctx, &session{options: &o, usable: usable, say: func(string) {}}, r); err == nil {
		t.Error("a simulation that was given up has no error")
	}
}

// TestRecordedTracesAreSimulated: the gets of a file give the hits that the same requests give without it.
func TestRecordedTracesAreSimulated(t *testing.T) {
	requests := evictsim.Traces()[1].Take(1000, 1, 8000)
	var text strings.Builder
	text.WriteString("key,op,size,op_count\n9999,SET,5,1\n")
	seen := map[uint32]bool{}
	for _, r := range requests {
		seen[r.Key] = true
		fmt.Fprintf(&text, "%d,GET,100,1\n", r.Key)
	}
	path := filepath.Join(t.TempDir(), "kv.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	usable, err := sut.UsableCores()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Seed: 1, Traces: []string{path}, Scale: Scale{SimKeys: 1000, SimSeeds: 2}}
	o.Cores.Load = usable // as it was
	r := &Result{}
	if err := runEviction(t.Context(), &session{options: &o, usable: usable, say: func(string) {}}, r); err != nil {
		t.Fatal(err)
	}
	n := len(evictsim.Kinds())
	want := make([][]float64, len(evictionSizes))
	for i := range want {
		want[i] = make([]float64, 2*n)
	}
	simulate(false, requests, 2000, int64(len(seen)), want, 1)
	rows := r.Tables[0].Rows
	if len(rows) != len(want) || rows[0][0] != "kv.csv" || !strings.Contains(strings.Join(r.Notes, "\n"), fmt.Sprintf("8000 gets of %d keys", len(seen))) {
		t.Fatalf("%+v, %q", rows, r.Notes)
	}
	for i, row := range rows {
		for j := range n {
			if got := row[2+j].(float64); math.Abs(got-100*want[i][j]) > 1e-9 || got <= 0 {
				t.Errorf("%d %%, policy %d: %v, want %v", row[1], j+1, got, 100*want[i][j])
			}
		}
	}
	o.Traces = []string{os.Args[0]} // the test program
	if err := runEviction(t.Context(), &session{options: &o, usable: usable, say: func(string) {}}, r); err == nil || !strings.Contains(err.Error(), "no trace") {
		t.Errorf("%v", err)
	}
}

func TestStoreOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Options){
		`experiment: "dense" is not one of density`: func(o *Options) { o.Experiments = []string{"dense"} },
		`trace: "zipf" is not one of zipf-0.7`:      func(o *Options) { o.Traces = []string{"zipf"} },
		"no server":                                 func(o *Options) { o.Subjects = nil },
		"items: 10 is not in":                       func(o *Options) { o.Scale.Items = 10 },
		"memory: 1 is not in":                       func(o *Options) { o.Scale.DensityMB = 1 },
		"ratio-rate: 0 is not in":                   func(o *Options) { o.Scale.RatioRate = 0 },
		"sim-keys: 100 is not in":                   func(o *Options) { o.Scale.SimKeys = 100 },
		"/no/such/server":                           func(o *Options) { o.Servers.Path = "/no/such/server" },
		"server-threads: 0 is not ":                 func(o *Options) { o.Servers.Threads = 0 },
	} {
		o := Options{Subjects: []string{sut.Ringcached}, Scale: QuickScale}
		o.Servers.Threads = 1
		change(&o)
		if _, err := Run(t.Context(), o, func(string) {}, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
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
	p := probeOf(ctx, s)
	if p.awaitIndex(); p.err == nil {
		t.Error("an index that grows was taken for one that does not")
	}
}
