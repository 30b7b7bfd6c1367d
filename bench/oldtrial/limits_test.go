package oldtrial

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/bench/fakeserver"
	"ringcached/bench/load"
	"ringcached/bench/sut"
)

func limitsOptions() LimitsOptions {
	return LimitsOptions{
		Least: 2, Most: 4, Narrow: 0.02, Idle: IdleScale{Connections: 100, Rounds: 1},
		Options: Options{
			Duration: time.Second, Warmup: time.Second, Threads: 1, Servers: sut.ServerOptions{Threads: 1, MemoryMB: 64, User: "nobody"},
		},
	}
}

func TestEveryLimitIsANamedWorkload(t *testing.T) {
	for _, l := range limits {
		w, err := load.SelectWorkloads([]string{l.workload})
		if err != nil || len(w) != 1 {
			t.Errorf("%s: %v", l.workload, err)
		} else if l.null > 0 && !w[0].SuitsNull() {
			t.Errorf("%s: the null server cannot answer that", l.workload)
		}
	}
	if names := LimitNames(); len(names) != len(limits)+1 || names[len(limits)] != LimitIdle {
		t.Errorf("%q", names)
	}
}

func TestVerdicts(t *testing.T) {
	memcached, epoll := Target{Over: sut.Memcached, Most: 0.8}, Target{Over: sut.Epoll, Most: 1, Slack: 0.05}
	for _, c := range []struct {
		name    string
		target  Target
		rounds  []float64
		want    Verdict
		settled bool // with ratios to be known to within 2 %
	}{
		{"one round", memcached, []float64{0.5}, Undecided, false},
		{"far below", memcached, []float64{0.5, 0.51, 0.49}, Met, true},
		{"below in every round, without doubt", memcached, []float64{0.79, 0.79, 0.79}, Met, true},
		{"below in every round, but not certainly", memcached, []float64{0.75, 0.79, 0.70}, Undecided, false},
		{"just below, and wide", memcached, []float64{0.70, 0.74, 0.72, 0.66, 0.78}, Met, false},
		{"at the target", memcached, []float64{0.8, 0.8, 0.8}, Met, true},
		{"around the target, narrowly", memcached, []float64{0.799, 0.802, 0.801}, Undecided, true},
		{"around the target", memcached, []float64{0.75, 0.85, 0.8}, Undecided, false},
		{"above", memcached, []float64{0.9, 0.91, 0.92}, Missed, true},
		{"equals", epoll, []float64{0.99, 1.01, 1.0}, Met, false},
		{"equals, but hardly known", epoll, []float64{0.9, 1.1, 1.0}, Undecided, false},
		{"behind by little, certainly", epoll, []float64{1.02, 1.021, 1.022}, Missed, true},
		{"ahead", epoll, []float64{0.9, 0.91, 0.92}, Met, true},
	} {
		r := newRatio(sut.Uring, c.target.Over, c.rounds)
		if got := c.target.judge(&r); got != c.want {
			t.Errorf("%s: %s, want %s, for %+v", c.name, got, c.want, r)
		}
		if got := c.target.settled(&r, 0.02); got != c.settled {
			t.Errorf("%s: settled %v, want %v, for %+v", c.name, got, c.settled, r)
		}
	}
}

// limitRow is one of workload "get", in which uring costs so much, and the others 5, 8 and 4 us.
func limitRow(uring ...float64) *LimitRow {
	c := &Comparison{Workload: load.Workloads()[0]}
	for i, cpu := range uring {
		c.Rounds = append(c.Rounds, round(i+1, sut.Uring, cpu, nil), round(i+1, sut.Epoll, 5, nil),
			round(i+1, sut.Memcached, 8, nil), round(i+1, sut.Null, 4, nil))
	}
	return &LimitRow{Workload: c.Workload.Name, Comparison: c}
}

func TestRowOfTheTableOfLimits(t *testing.T) {
	r := limitRow(4.8, 4.8, 4.8)
	if !r.judge(limits[0].targets(), 0.02) {
		t.Error("not settled")
	}
	r.Comparison.Summarise(limits[0].subjects())
	if !r.missed() {
		t.Error("1.2 times what the null server takes are within the target")
	}
	r.Profile = "p/get.txt"
	var out bytes.Buffer
	PrintLimit(&out, r)
	got := strings.Split(out.String(), "\n")
	for i, want := range []string{
		"get 64 B, 50 connections                          3     4.800     5.000     8.000     4.000   epoll      0.960 (0.960..0.960)   0.96..0.96     1.00  met",
		strings.Repeat(" ", 94) + "memcached  0.600 (0.600..0.600)   0.60..0.60     0.88  met",
		strings.Repeat(" ", 94) + "null       1.200 (1.200..1.200)   1.20..1.20     1.10  MISSED",
		"  profile of uring: p/get.txt",
	} {
		if i >= len(got) || got[i] != want {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
}

func TestRowWithRoundsThatFailed(t *testing.T) {
	r := limitRow(4, 4)
	for i := range r.Comparison.Rounds {
		if c := &r.Comparison.Rounds[i]; c.Server == sut.Memcached {
			c.Broken = 1
		} else if c.Server == sut.Null {
			c.LoadBusy, c.ServerCore.Busy, c.Foreign = 0.97, 0.8, 0.3
		}
	}
	if r.judge(limits[0].targets(), 0.02) {
		t.Error("settled without a ratio")
	}
	r.Comparison.Summarise(limits[0].subjects())
	var out bytes.Buffer
	PrintLimit(&out, r)
	for _, want := range []string{" 4.000     5.000         -     4.000 ", "memcached  -                      -              0.88  not decided\n", "  memcached: FAILED in 2 of 2 rounds",
		"  null: the load was the limit in 2 of 2 rounds", "  NOISY: in the worst trial 0 % were stolen by the host, and other processes used 30 % of"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestSumOfLimits(t *testing.T) {
	r := NewReport("limits", nil)
	row := limitRow(4.8, 4.8)
	row.judge(limits[0].targets(), 0.02)
	r.Limits = []*LimitRow{row}
	r.Idle = &Idle{Connections: 1000, Most: 100, Rows: []IdleRow{
		{sut.Uring, []float64{60, 70}}, {sut.Epoll, []float64{90, 110}}, {sut.Memcached, []float64{500}},
	}}
	var out bytes.Buffer
	PrintIdle(&out, r.Idle)
	PrintLimitsSum(&out, r)
	for _, want := range []string{
		"  uring          65 (60..70)   100  met\n", "  epoll         100 (90..110)   100  not decided\n", "  memcached     500 (500..500)\n",
		"targets: 3 met, 1 missed, 1 undecided because of noise\n  MISSED      get over null\n  not decided idle, epoll\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if v := (&IdleRow{sut.Uring, []float64{101, 120}}).verdict(100); v != Missed {
		t.Errorf("more than the target in every round: %s", v)
	}
}

func TestLimitsOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*LimitsOptions){
		`only: "gte" is not one of get,`:     func(o *LimitsOptions) { o.Only = []string{"gte"} },
		"min-rounds: 1 is not in":            func(o *LimitsOptions) { o.Least = 1 },
		"min-rounds: 5 is not in 2..4":       func(o *LimitsOptions) { o.Least = 5 },
		"narrow: -1 is not in":               func(o *LimitsOptions) { o.Narrow = -1 },
		"idle-connections: 9 is not in":      func(o *LimitsOptions) { o.Idle.Connections = 9 },
		"idle-rounds: 0 is not in":           func(o *LimitsOptions) { o.Idle.Rounds = 0 },
		"duration: 0s is not in":             func(o *LimitsOptions) { o.Duration = 0 },
		"stat /no/such/server: no such file": func(o *LimitsOptions) { o.Only, o.Servers.Path = []string{"get"}, "/no/such/server" },
		"scripts/install-peer memcached-1.6.": func(o *LimitsOptions) { o.Servers.Memcached = "/no/such/memcached" },
	} {
		o := limitsOptions()
		o.Servers.Path = "/bin/true"
		change(&o)
		if _, err := Limits(t.Context(), o, LimitsObserver{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	o := limitsOptions()
	o.Only = []string{LimitIdle, "set"}
	if rows, w, idle := o.rows(); len(rows) != 1 || rows[0].workload != "set" || w[0].Sets != 1 || !idle {
		t.Errorf("%v, %v, %v", rows, w, idle)
	}
	if s := rows(t, "get"); !slices.Equal(s, limitServers) {
		t.Errorf("%q", s)
	}
	if s := rows(t, "mix"); !slices.Equal(s, limitServers[:3]) {
		t.Errorf("%q", s)
	}
}

// rows are the servers of a row.
func rows(t *testing.T, name string) []string {
	o := limitsOptions()
	o.Only = []string{name}
	some, _, _ := o.rows()
	if len(some) != 1 {
		t.Fatalf("%d rows are named %s", len(some), name)
	}
	return some[0].subjects()
}

func TestIdleConnectionsMustFit(t *testing.T) {
	s := IdleScale{Connections: 1000, Rounds: 1}
	if err := s.fit(1100); err != nil {
		t.Error(err)
	}
	if err := s.fit(1099); err == nil || !strings.Contains(err.Error(), "1000 need a limit of 1100 open files, and it is 1099") {
		t.Errorf("%v", err)
	}
}

func TestSpeaking(t *testing.T) {
	s := fakeserver.Start(t, nil)
	c, err := speak(t.Context(), s.Addr(), 3)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	s = fakeserver.Start(t, func(_ int, reply []byte) ([]byte, bool) { return []byte("ERROR\r\n"), false })
	if _, err := speak(t.Context(), s.Addr(), 1); err == nil || !strings.Contains(err.Error(), `answered "ERROR\r\n"`) {
		t.Errorf("%v", err)
	}
}
