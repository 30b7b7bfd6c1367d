package attack

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
)

// Tests run on machines so busy that who waits for an idle core waits for ever.
func init() { attackPolicy = 0 }

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestPoliteClientTellsWhatFails: each way in which a server can fail its clients is counted as what it is, and no
// other way.
func TestPoliteClientTellsWhatFails(t *testing.T) {
	const stores = politeConns * politeKeys // which succeed
	answer := func(prefix, instead string, hangUp bool) fakeserver.Flaw {
		return func(n int, reply []byte) ([]byte, bool) {
			if n > stores && bytes.HasPrefix(reply, []byte(prefix)) {
				return []byte(instead), hangUp
			}
			return reply, false
		}
	}
	for name, c := range map[string]struct {
		flaw  fakeserver.Flaw
		count func(*PoliteResult) int64
	}{
		"failed sets":  {answer("STORED", "SERVER_ERROR out of memory storing object\r\n", false), func(r *PoliteResult) int64 { return r.FailedSets }},
		"failed gets":  {answer("VALUE", "SERVER_ERROR out of memory writing get response\r\n", false), func(r *PoliteResult) int64 { return r.FailedOther }},
		"lost keys":    {answer("VALUE", "END\r\n", false), func(r *PoliteResult) int64 { return r.Lost }},
		"wrong values": {answer("VALUE", "VALUE polite-0-0 0 1\r\nx\r\nEND\r\n", false), func(r *PoliteResult) int64 { return r.FailedOther }},
		"hung up":      {answer("VALUE", "", true), func(r *PoliteResult) int64 { return r.FailedOther }},
	} {
		t.Run(name, func(t *testing.T) {
			s := fakeserver.Start(t, c.flaw)
			p, err := startPolite(t.Context(), s.Addr(), 2000, false)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			var sum, all PoliteResult
			eventually(t, name, func() bool {
				sum = p.cut()
				if sum.Problem == "no reply for more than a second" { // on a busy machine
					return false
				}
				all.Operations += sum.Operations
				if rest := sum.Failed() - c.count(&sum); rest != 0 {
					t.Fatalf("%+v", sum)
				}
				return c.count(&sum) > 0 && sum.Problem != "" && (all.Operations > 0 || name == "hung up")
			})
		})
	}
}

func TestPoliteClientOfAGoodServer(t *testing.T) {
	s := fakeserver.Start(t, nil)
	for _, noSets := range []bool{false, true} {
		p, err := startPolite(t.Context(), s.Addr(), 1000, noSets)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		eventually(t, "100 answers", func() bool {
			r := p.cut()
			if r.Failed() > 0 && r.Problem != "no reply for more than a second" { // as it may be on a busy machine
				t.Fatalf("%+v", r)
			}
			n += r.Operations
			return n > 100
		})
		p.close()
	}
	_, err := startPolite(t.Context(), fakeserver.Start(t, func(int, []byte) ([]byte, bool) { return []byte("SERVER_ERROR no\r\n"), false }).Addr(), 1000, false)
	if err == nil || !strings.Contains(err.Error(), "SERVER_ERROR no") {
		t.Errorf("a server that stores nothing: %v", err)
	}
}

// TestStallsCountForAllWhoWait: a server that falls silent is charged for what is due meanwhile, though it answers
// none of it.
func TestStallsCountForAllWhoWait(t *testing.T) {
	silent := make(chan struct{})
	var once sync.Once
	speak := func() { once.Do(func() { close(silent) }) }
	s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
		if n > politeConns*politeKeys {
			<-silent
		}
		return reply, false
	})
	t.Cleanup(speak) // before the server is closed
	p, err := startPolite(t.Context(), s.Addr(), 100, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	eventually(t, "unanswered requests", func() bool {
		r := p.cut()
		return r.Operations == 0 && r.FailedOther > 10 && r.Latency.Max > 1e6 && r.Failed() == r.FailedOther
	})
	speak()
	eventually(t, "answers", func() bool {
		r := p.cut()
		return r.Operations > 0 && r.Failed() == 0
	})
}

func TestAttackersOfAFakeServer(t *testing.T) {
	loop := func(conns, count int, request string) swarm {
		text := strings.Repeat(request, count) + noop
		return swarm{Conns: conns, Steps: []step{{Send: text, Count: count, Until: []string{noopReply}}}}
	}
	steps := func(conns int, all ...step) swarm { return swarm{Conns: conns, Steps: all} }
	dozen, turns := loop(3, 12, "get missing\r\n"), loop(1, 1, "get a\r\n")
	dozen.Steps = slices.Insert(dozen.Steps, 0, step{Send: "set mine-$n 0 0 1\r\nx\r\n", Once: true})
	turns.Steps = append(turns.Steps, step{Send: "delete a\r\n" + noop, Count: 1, Until: []string{noopReply}, Pace: 1})
	header := step{Send: "set $n 0 0 100\r\n", Count: 1, Once: true}
	hangUp := func(_ int, reply []byte) ([]byte, bool) { return reply, true }
	for name, c := range map[string]struct {
		swarm swarm
		flaw  fakeserver.Flaw
		seen  func(*Counts) bool
	}{
		"a closed loop": {dozen, nil, func(a *Counts) bool {
			return a.Requests >= 24 && a.Requests%12 == 0 && a.Answer == "STORED" && a.Closed == 0
		}},
		"two in turn": {turns, nil, func(a *Counts) bool { return a.Requests >= 4 && a.Bytes > 0 }},
		"no readers": {steps(2, step{Send: strings.Repeat("get f0\r\n", 1000), Count: 1000}), nil, func(a *Counts) bool {
			return a.Requests >= 2000 && a.ReplyBytes == 0
		}},
		"headers": {steps(2, header), nil, func(a *Counts) bool { return a.Requests == 2 && a.Bytes == 30 }},
		"a byte at once": {steps(2, header, step{Send: "x", Pace: 1000}), nil, func(a *Counts) bool {
			return a.Bytes > 32 && a.Requests == 2
		}},
		"connecting": {steps(2, step{HangUp: true, Count: 1}), nil, func(a *Counts) bool {
			return a.Connections > 10 && a.Bytes == 0
		}},
		"closed by it": {loop(2, 1, "get missing\r\n"), hangUp, func(a *Counts) bool { return a.Closed > 3 && a.Connections > 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			s := fakeserver.Start(t, c.flaw)
			var counts Counts
			for wait := 20 * time.Millisecond; !c.seen(&counts); wait *= 2 {
				if wait > time.Minute {
					t.Fatalf("%+v", counts)
				}
				a, err := startAttack(&c.swarm, s.Addr(), c.swarm.Conns)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(wait)
				counts = a.end()
			}
		})
	}
	for _, addr := range []string{"192.0.2.1:11211", "[::1]:11211", "localhost:11211", "unix:/run/memcached"} {
		if _, err := startAttack(&dozen, addr, 1); err == nil {
			t.Errorf("%s can be attacked", addr)
		}
	}
}

// TestEveryAttack puts each load to ringcached, small and short. What others find in the figures is theirs; here it
// is that there are some.
func TestEveryAttack(t *testing.T) {
	server := filepath.Join(t.TempDir(), "ringcached")
	if out, err := exec.Command("go", "build", "-o", server, "ringcached/cmd/ringcached").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	report, err := Run(t.Context(), Options{
		Subjects: []string{sut.Epoll}, Duration: 100 * time.Millisecond, Alone: 50 * time.Millisecond, Rate: 500, Items: 5000, Most: 10,
		Servers: sut.ServerOptions{Path: server, Threads: 2, User: "nobody"},
	}, func(string) {}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	loads := Loads()
	if len(report.Attacks) != len(loads) {
		t.Fatalf("%d rows of %d loads", len(report.Attacks), len(loads))
	}
	for i, l := range loads {
		r := &report.Attacks[i].Results[0]
		if r.Died != "" || r.Attack.Connections == 0 || r.Polite.Operations == 0 || r.MemoryBefore == 0 || r.MemoryPeak < r.MemoryBefore/2 {
			t.Errorf("%s: %+v", l.Name, r)
		}
		sends := slices.ContainsFunc(l.Swarm.Steps, func(s step) bool { return s.Send != "" })
		if len(l.Swarm.Steps) > 0 && r.Attack.Requests == 0 || sends && r.Attack.Bytes == 0 {
			t.Errorf("%s: the attackers did nothing: %+v", l.Name, r.Attack)
		}
		if l.Settles != (r.MemoryAfter > 0) {
			t.Errorf("%s: %d bytes afterwards", l.Name, r.MemoryAfter)
		}
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || len(again.Attacks) != len(loads) || again.Attacks[0].Results[0].Polite != report.Attacks[0].Results[0].Polite {
		t.Errorf("what was written is not what is read: %v", err)
	}
}

func TestTableOfAttacks(t *testing.T) {
	r := &Report{Header: sut.NewHeader("attack", &Options{})}
	r.Attacks = []*Row{{Load: "uploads-64", Title: "headers", Results: []Result{
		{Server: "before-uring", Polite: PoliteResult{FailedSets: 496}},
		{Server: sut.Uring, Polite: PoliteResult{Operations: 900, FailedSets: 3, Lost: 2, FailedOther: 1, Latency: load.Quantiles{P50: 150, P99: 4100, Max: 9000}, Problem: "a key was missing"},
			Attack:  Counts{Requests: 64, Bytes: 2000, Closed: 7, Datagrams: 64, Replies: 128, ReplyBytes: 4000, Answer: "STORED"},
			Evicted: 12, MemoryBefore: 24e6, MemoryPeak: 63e6, CPUSeconds: 0.5},
		{Server: sut.Epoll, Evicted: -1, Polite: PoliteResult{Latency: load.Quantiles{P99: 3999}}, Attack: Counts{Bytes: 2000}, CPUSeconds: 0.01, Died: "signal: killed"},
		{Server: sut.Memcached, Polite: PoliteResult{Latency: load.Quantiles{P99: 2000}}, Attack: Counts{Bytes: 2000}, CPUSeconds: 0.1},
	}}}
	var out bytes.Buffer
	r.Attacks[0].print(&out)
	PrintSummary(&out, r)
	for _, want := range []string{
		" 0.15  4.10  9.0            3      1     2       12         24    63      -        64   2       7   0.50  250000.0     7812.50\n",
		"\n  uring: 2.00 replies per datagram, 2.0 bytes per byte; answer \"STORED\"; polite: a key was missing\n",
		"\n  epoll: THE SERVER DIED: signal: killed\n",
		"  uploads-64, uring: 6 requests failed\n", "  uploads-64, uring: p99 is 4.1 ms, above 4.0\n",
		"  uploads-64, uring: CPU per byte is 250000.0 ns, memcached's 50000.0\n", "  uploads-64, epoll: it died\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if n := strings.Count(out.String(), "uploads-64, "); n != 4 {
		t.Errorf("%d findings in\n%s", n, &out)
	}
	out.Reset()
	r.Attacks[0].Results = r.Attacks[0].Results[3:]
	PrintSummary(&out, r)
	if !strings.Contains(out.String(), ":\n  none\nversions: ") {
		t.Errorf("%s", &out)
	}
}

func TestAttackOptionsThatAreRefused(t *testing.T) {
	good := func() Options {
		return Options{Subjects: []string{sut.Uring}, Duration: time.Second, Alone: time.Second, Rate: 1000, Items: 1, Servers: sut.ServerOptions{Threads: 1, Path: "/bin/true"}}
	}
	for says, change := range map[string]func(*Options){
		`load: "flood" is not one of uploads-64,`: func(o *Options) { o.Loads = []string{"flood"} },
		"no server":                        func(o *Options) { o.Subjects = nil },
		"192.0.2.1:11211: attacks are for": func(o *Options) { o.Subjects = []string{"192.0.2.1:11211"} },
		"unix:/run/x: attacks are for":     func(o *Options) { o.Subjects = []string{"unix:/run/x"} },
		"duration: 1ms is not in":          func(o *Options) { o.Duration = time.Millisecond },
		"settle: -1ns is not in":           func(o *Options) { o.Settle = -1 },
		"alone: 0s is not in 1ms..1h":      func(o *Options) { o.Alone = 0 },
		"rate: 1 is not in":                func(o *Options) { o.Rate = 1 },
		"items: 0 is not in":               func(o *Options) { o.Items = 0 },
		"most-connections: -1 is below 0":  func(o *Options) { o.Most = -1 },
		"server-threads: 0 is below 1":     func(o *Options) { o.Servers.Threads = 0 },
		"before-uring: stat /no/such/file": func(o *Options) { o.Before = "/no/such/file" },
	} {
		o := good()
		change(&o)
		if _, err := Run(t.Context(), o, func(string) {}, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	o := good()
	if o.Most = 10; o.Validate() != nil {
		t.Error("a few connections do not fit")
	}
	if o.Most = 0; (o.Validate() == nil) != (sut.ResourceLimit(syscall.RLIMIT_NOFILE) < 0 || sut.ResourceLimit(syscall.RLIMIT_NOFILE) >= 5000+2+sut.OwnFiles) {
		t.Errorf("with %d files: %v", sut.ResourceLimit(syscall.RLIMIT_NOFILE), o.Validate())
	}
	o.Subjects, o.Before = []string{sut.Uring, sut.Epoll, sut.Memcached}, "/bin/true"
	if o.withBefore(); !slices.Equal(o.Subjects, []string{"before-uring", sut.Uring, "before-epoll", sut.Epoll, sut.Memcached}) || o.Servers.Variant("before-epoll").Path != "/bin/true" {
		t.Errorf("%q, %+v", o.Subjects, o.Servers.Variants)
	}
}
