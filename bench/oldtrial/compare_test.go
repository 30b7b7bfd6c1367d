package oldtrial

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/bench/fakeserver"
	"ringcached/bench/load"
	"ringcached/bench/sut"
)

func compareOptions(servers ...*fakeserver.Server) CompareOptions {
	o := CompareOptions{
		Workloads: []load.Workload{smallLoad(func(w *load.Workload) { w.Name, w.Title = "small", "small gets" })},
		Rounds:    3,
		Options: Options{
			Duration: 250 * time.Millisecond, Warmup: 10 * time.Millisecond, Servers: sut.ServerOptions{Threads: 1, MemoryMB: 64, User: "nobody"},
		},
	}
	for _, s := range servers {
		o.Subjects = append(o.Subjects, s.Addr())
	}
	return o
}

// failuresOfServers leaves out that the load was the limit, as it may well be when the server is in the same process.
func failuresOfServers(r *Report) []string {
	return slices.DeleteFunc(r.Failures(), func(line string) bool { return strings.Contains(line, "no figures: the load was the limit") })
}

func TestCompareRotatesItsOrder(t *testing.T) {
	a, b, c := fakeserver.Start(t, nil), fakeserver.Start(t, nil), fakeserver.Start(t, nil)
	o := compareOptions(a, b, c)
	before, _ := sut.Affinity(os.Getpid())
	var order []string
	var last Progress
	rows := 0
	r, err := Compare(t.Context(), o, Observer{
		Trial: func(p Progress) { order, last = append(order, p.Last.Server), p },
		Row:   func(*Comparison) { rows++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	x, y, z := a.Addr(), b.Addr(), c.Addr()
	if want := []string{x, y, z, y, z, x, z, x, y}; !slices.Equal(order, want) {
		t.Errorf("order is %v, want %v", order, want)
	}
	if last.Done != 9 || last.Total != 9 || last.Left != 0 || rows != 1 {
		t.Errorf("at the end: %+v, %d rows", last, rows)
	}
	if f := failuresOfServers(r); len(f) != 0 || len(r.Comparisons) != 1 || len(r.Comparisons[0].Rounds) != 9 {
		t.Errorf("failures %q in %+v", f, r.Comparisons)
	}
	for _, s := range r.Comparisons[0].Summaries {
		if s.PerSecond <= 0 || s.CPUPerOp != 0 {
			t.Errorf("%+v", s)
		}
	}
	if after, _ := sut.Affinity(os.Getpid()); after != before {
		t.Error("the process stays pinned")
	}
	var out bytes.Buffer
	PrintHeading(&out, r)
	PrintFootnotes(&out, r)
	if !strings.Contains(out.String(), "version fake, CPU time from: unknown") {
		t.Errorf("%s", &out)
	}
}

func TestCompareTellsWrongReplies(t *testing.T) {
	good := fakeserver.Start(t, nil)
	bad := fakeserver.Start(t, fakeserver.Nth(200, func(r []byte) ([]byte, bool) { return bytes.ToLower(r), false }))
	r, err := Compare(t.Context(), compareOptions(good, bad), Observer{})
	if err != nil {
		t.Fatal(err)
	}
	f := failuresOfServers(r)
	if len(f) != 1 || !strings.Contains(f[0], bad.Addr()) || !strings.Contains(f[0], "wrong reply") {
		t.Errorf("failures: %q", f)
	}
}

func TestCompareStopsWhereAServerIsNotThere(t *testing.T) {
	here, gone := fakeserver.Start(t, nil), fakeserver.Start(t, nil)
	gone.Close()
	r, err := Compare(t.Context(), compareOptions(here, gone), Observer{})
	if err == nil || !strings.Contains(err.Error(), gone.Addr()) {
		t.Errorf("%v", err)
	}
	if len(r.Comparisons) != 1 || len(r.Comparisons[0].Rounds) != 1 {
		t.Errorf("what was measured before is lost: %+v", r.Comparisons)
	}
}

func TestCompareIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := compareOptions(fakeserver.Start(t, nil))
	o.Rounds = 100
	r, err := Compare(ctx, o, Observer{Trial: func(p Progress) {
		if p.Done == 2 {
			cancel()
		}
	}})
	if err == nil || len(r.Comparisons) != 1 || len(r.Comparisons[0].Rounds) != 2 {
		t.Errorf("%v, %+v", err, r.Comparisons)
	}
}

func TestParseVariant(t *testing.T) {
	for text, want := range map[string]sut.Variant{
		"depth1=--batch-depth 1":        {Name: "depth1", Args: []string{"--batch-depth", "1"}},
		"old=--ring-features=a,b -t  2": {Name: "old", Args: []string{"--ring-features=a,b", "-t", "2"}},
	} {
		if v, err := sut.ParseVariant(text); err != nil || v.Name != want.Name || !slices.Equal(v.Args, want.Args) {
			t.Errorf("%s: got %+v, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "name", "name=", "name= ", "=-t 1", "uring=-t 1", "a b=-t 1", "a:1=-t 1"} {
		if v, err := sut.ParseVariant(text); err == nil {
			t.Errorf("%q: got %+v", text, v)
		}
	}
}

// smallLoad is one that a Server is done with quickly.
func smallLoad(change func(*load.Workload)) load.Workload {
	w := load.DefaultWorkload()
	w.Connections, w.Keys, w.ValueSize = 4, 100, 40
	if change != nil {
		change(&w)
	}
	return w
}

func TestCompareOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*CompareOptions){
		"no server":         func(o *CompareOptions) { o.Subjects = nil },
		"no workload":       func(o *CompareOptions) { o.Workloads = nil },
		"rounds: 0":         func(o *CompareOptions) { o.Rounds = 0 },
		"duration: 1ms":     func(o *CompareOptions) { o.Duration = time.Millisecond },
		"warmup: -1s":       func(o *CompareOptions) { o.Warmup = -time.Second },
		"named twice":       func(o *CompareOptions) { o.Subjects = []string{"epoll", "epoll"} },
		"workload custom: ": func(o *CompareOptions) { o.Workloads[0].Keys = 0 },
		"threads: 51":       func(o *CompareOptions) { o.Threads = 51 },
		"server-threads: 0": func(o *CompareOptions) { o.Servers.Threads = 0 },
		"memory: 1 MB":      func(o *CompareOptions) { o.Servers.MemoryMB = 1 },
	} {
		o := CompareOptions{
			Subjects: []string{"epoll"}, Workloads: []load.Workload{load.DefaultWorkload()}, Rounds: 1,
			Options: Options{Duration: time.Second, Servers: sut.ServerOptions{Threads: 1, MemoryMB: 64}},
		}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}
