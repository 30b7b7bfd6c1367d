package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/bench/trace"

	"ringcached/bench/load"
	"ringcached/internal/fakeserver"
)

// traceFile writes lines to a file.
func traceFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// asked makes the lines of requests of one client, one a second: "get a", or "set b".
func asked(requests string) (lines []string) {
	for i, r := range strings.Split(requests, ", ") {
		op, key, _ := strings.Cut(r, " ")
		lines = append(lines, fmt.Sprintf("%d,%s,10,%d,7,%s,0", i, key, 30+i, op))
	}
	return lines
}

func replayOptions(addr, path string) Options {
	return Options{Trace: path, Endpoint: load.Endpoint{Addr: addr}, Connections: 1, Pipeline: 1, TTL: TTLRecorded, Stall: 20 * time.Second}
}

func TestReplayCountsHits(t *testing.T) {
	for _, c := range []struct {
		requests     string
		fill         bool
		hits, misses int64
		fills        int64
		left         int64 // items in the server at the end
	}{
		{"get a, get b, get a, get c, get a, get b", true, 3, 3, 3, 3},
		{"get a, get b, get a, get c, get a, get b", false, 0, 6, 0, 0},
		{"set a, get a, get b, delete a, get a", false, 1, 2, 0, 0},
		{"set a, get a, get b, delete a, get a", true, 1, 2, 2, 2},
		{"set a, set a, get a", true, 1, 0, 0, 1},
	} {
		for _, pipeline := range []int{1, 16} {
			o := replayOptions(fakeserver.Start(t, nil).Addr(), traceFile(t, asked(c.requests)...))
			o.Fill, o.Pipeline = c.fill, pipeline
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Fatalf("%s: %v", c.requests, err)
			}
			r := report.Replay
			n := int64(strings.Count(c.requests, ",") + 1)
			fills := int64(0)
			if r.Fills != nil {
				fills = r.Fills.Done
			}
			i := slices.IndexFunc(r.Operations, func(o Operation) bool { return o.Name == "get" })
			if r.Failed() != "" || r.Requests != n || r.Operations[i].Done != c.hits || r.Operations[i].Not != c.misses || fills != c.fills {
				t.Errorf("%s, fill %v, pipeline %d: %+v", c.requests, c.fill, pipeline, r)
			}
			if want := float64(c.hits) / float64(c.hits+c.misses); r.HitRatio != want || r.Latency.P50 <= 0 || r.Lateness != nil {
				t.Errorf("%s: hit ratio %v, want %v; %+v", c.requests, r.HitRatio, want, r)
			}
			if r.Before["curr_items"] != 0 || r.After["curr_items"] != c.left || r.TraceSeconds != float64(n-1) {
				t.Errorf("%s: memory %+v, then %+v; %v s", c.requests, r.Before, r.After, r.TraceSeconds)
			}
		}
	}
}

// TestReplayKeepsTheOrderOfClients: whatever connections there are, what a client stored it finds, and what it
// deleted it does not.
func TestReplayKeepsTheOrderOfClients(t *testing.T) {
	var lines []string
	for i := range 400 {
		client := i % 20
		op := []string{"set", "get", "delete", "get"}[i/20%4]
		lines = append(lines, fmt.Sprintf("%d,key-of-%d,20,%d,%d,%s,0", i/100, client, 10+1000*(i%3), client, op))
	}
	for _, c := range []struct{ connections, pipeline int }{{1, 1}, {7, 1}, {7, 16}, {64, 1000}} {
		for _, speed := range []float64{0, 1000} {
			o := replayOptions(fakeserver.Start(t, nil).Addr(), traceFile(t, lines...))
			o.Connections, o.Pipeline, o.Speed = c.connections, c.pipeline, speed
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range report.Replay.Operations {
				if want := map[string]int64{"get": 100}[op.Name]; op.Not != want || op.Done != 100 || op.Refused != 0 {
					t.Errorf("%+v, speed %v: %+v", c, speed, op)
				}
			}
			if (report.Replay.Lateness != nil) != (speed > 0) {
				t.Errorf("speed %v: lateness %+v", speed, report.Replay.Lateness)
			}
		}
	}
}

// hangUp makes a flaw that closes the connection after a part of the tenth reply.
func hangUp(part int) fakeserver.Flaw {
	return func(n int, r []byte) ([]byte, bool) {
		if n < 10 {
			return r, false
		}
		return r[:len(r)/part], true
	}
}

func TestReplayFailsLoudly(t *testing.T) {
	hits := strings.Repeat("set a, get a, ", 30) + "set a"
	replace := func(from, to string) fakeserver.Flaw {
		return func(_ int, r []byte) ([]byte, bool) { return bytes.Replace(r, []byte(from), []byte(to), 1), false }
	}
	for name, c := range map[string]struct {
		flaw fakeserver.Flaw
		says string
	}{
		"another value": {func(_ int, r []byte) ([]byte, bool) {
			if bytes.HasPrefix(r, []byte("VALUE")) {
				r[40] ^= 1
			}
			return r, false
		}, "differs from byte"},
		"another key":   {replace("VALUE a", "VALUE b"), "was not asked for"},
		"another size":  {replace("VALUE a--------- ", "VALUE a--------- 1"), "which should be the same"},
		"another reply": {replace("STORED", "DELETED"), "unexpected line"},
		"no line end":   {replace("\r\n", "\n"), "does not end in"},
		"no end":        {replace("END\r\n", "FIN\r\n"), `"END" should be`},
		"an endless line": {func(n int, r []byte) ([]byte, bool) {
			if n == 1 {
				return r, false // the statistics
			}
			return bytes.Repeat([]byte("x"), 100_000), false
		}, "no line end within"},
		"twice":    {func(_ int, r []byte) ([]byte, bool) { return append(bytes.Clone(r), r...), false }, ""},
		"hangs up": {hangUp(2), "closed the connection"},
		"leaves":   {hangUp(1000), "closed the connection"},
	} {
		o := replayOptions(fakeserver.Start(t, c.flaw).Addr(), traceFile(t, asked(hits)...))
		report, err := Run(t.Context(), o)
		if report == nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s", name, err, c.says)
		}
	}
}

func TestReplayTellsASilentServer(t *testing.T) {
	silent := func(n int, r []byte) ([]byte, bool) {
		if n > 6 { // the statistics are the first
			return nil, false
		}
		return r, false
	}
	o := replayOptions(fakeserver.Start(t, silent).Addr(), traceFile(t, asked(strings.Repeat("get a, ", 30)+"get a")...))
	o.Stall = 3 * time.Second
	report, err := Run(t.Context(), o)
	if !errors.Is(err, load.ErrStalled) || report.Replay.Requests != 5 {
		t.Errorf("%v, want %v", err, load.ErrStalled)
	}
}

func TestReplayTellsADeadServer(t *testing.T) {
	s := fakeserver.Start(t, nil)
	s.Close()
	if _, err := Run(t.Context(), replayOptions(s.Addr(), traceFile(t, asked("get a")...))); err == nil || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("%v", err)
	}
}

func TestReplayCountsErrorReplies(t *testing.T) {
	full := func(n int, r []byte) ([]byte, bool) {
		if n > 2 && n < 6 { // set b, set c, get a: the statistics are the first
			return []byte("SERVER_ERROR out of memory storing object\r\n"), false
		}
		return r, false
	}
	report, err := Run(t.Context(), replayOptions(fakeserver.Start(t, full).Addr(), traceFile(t, asked("set a, set b, set c, get a, set d")...)))
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Replay; r.ErrorReplies != 3 || r.Requests != 5 || !strings.Contains(r.Failed(), "3 error replies") || len(r.Problems) == 0 {
		t.Errorf("%+v", r)
	}
}

func TestReplayTellsMalformedLines(t *testing.T) {
	lines := append(asked("get a, get b, get a"), "2,a,1", "3,a,10,30,7,get,0")
	o := replayOptions(fakeserver.Start(t, nil).Addr(), traceFile(t, lines...))
	report, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), o.Trace+": line 4: 3 fields where 7 should be") || report.Replay.Requests != 3 {
		t.Errorf("%v, %+v", err, report)
	}
	o.SkipBad = true
	report, err = Run(t.Context(), o)
	if err != nil || report.Replay.Requests != 4 || report.Replay.BadLines != 1 || !strings.HasPrefix(report.Replay.FirstBadLine, "line 4: ") {
		t.Errorf("%v, %+v", err, report.Replay)
	}
	var out bytes.Buffer
	Print(&out, report.Replay)
	for _, want := range []string{"requests     4 in ", "as fast as the server answers", "  get   ",
		"skipped      1 malformed lines, the first of which is line 4"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestReplayEndsEarly(t *testing.T) {
	path := traceFile(t, asked(strings.Repeat("get a, ", 5000)+"get a")...)
	o := replayOptions(fakeserver.Start(t, nil).Addr(), path)
	o.Limit = 17
	report, err := Run(t.Context(), o)
	if err != nil || report.Replay.Requests != 17 || report.Replay.Interrupted {
		t.Errorf("%v, %+v", err, report.Replay)
	}
	o.Limit, o.Speed, o.Duration = 0, 1, 100*time.Millisecond // of 5000 s
	report, err = Run(t.Context(), o)
	if err != nil || report.Replay.Requests > 4000 || report.Replay.Interrupted {
		t.Errorf("%v, %+v", err, report.Replay)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Duration = 0
	o.Tick = func(Progress) { cancel() }
	report, err = Run(ctx, o)
	if err != nil || !report.Replay.Interrupted || report.Replay.Failed() != "" {
		t.Errorf("%v, %+v", err, report.Replay)
	}
}

// TestReplayEndsInTime: what waits for a connection when the time is over is not sent, whether all of the trace had
// been read or not.
func TestReplayEndsInTime(t *testing.T) {
	slow := func(_ int, r []byte) ([]byte, bool) {
		time.Sleep(20 * time.Millisecond)
		return r, false
	}
	for _, requests := range []int{200, 5000} {
		o := replayOptions(fakeserver.Start(t, slow).Addr(), traceFile(t, slices.Repeat(getsAt(0), requests)...))
		o.Duration = 400 * time.Millisecond
		report, err := Run(t.Context(), o)
		if err != nil || report.Replay.Requests > 21 {
			t.Errorf("of %d requests %d were answered in %v at 20 ms each; %v", requests, report.Replay.Requests, o.Duration, err)
		}
	}
}

// TestReplayReadsNoMoreThanItsLimit: whoever writes a trace into a pipe need not write more.
func TestReplayReadsNoMoreThanItsLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0) // which does not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.WriteString(strings.Join(slices.Repeat(getsAt(0), 17), "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	o := replayOptions(fakeserver.Start(t, nil).Addr(), path)
	o.Limit = 17
	report, err := Run(ctx, o)
	if err != nil || report.Replay.Requests != 17 || report.Replay.Interrupted {
		t.Errorf("%v, %+v", err, report.Replay)
	}
}

// TestReplayTellsHitsOfGetsOnly: 0 % would be said of gets that all missed.
func TestReplayTellsHitsOfGetsOnly(t *testing.T) {
	for requests, want := range map[string]string{
		"set a, delete a": "hits         -, there were no gets\n",
		"set a, get b":    "hits         0.00 % of the gets\n",
		"set a, get a":    "hits         100.00 % of the gets\n",
	} {
		report, err := Run(t.Context(), replayOptions(fakeserver.Start(t, nil).Addr(), traceFile(t, asked(requests)...)))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if Print(&out, report.Replay); !strings.Contains(out.String(), want) {
			t.Errorf("%s: no %q in\n%s", requests, want, &out)
		}
	}
}

func TestReplayOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Options){
		"no trace": func(o *Options) { o.Trace = "" }, "speed": func(o *Options) { o.Speed = -1 },
		"connections": func(o *Options) { o.Connections = 0 }, "pipeline": func(o *Options) { o.Pipeline = 0 },
		"ttl": func(o *Options) { o.TTL = "never" }, "no speed": func(o *Options) { o.TTL = TTLScaled },
		"limit": func(o *Options) { o.Limit = -1 }, "duration": func(o *Options) { o.Duration = -1 },
	} {
		o := replayOptions("127.0.0.1:1", "x")
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// aheadOf opens a trace as a replay would, to be read by the test.
func aheadOf(t *testing.T, speed float64, lines ...string) *ahead {
	t.Helper()
	file, err := trace.Open(traceFile(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return newAhead(file, &Options{Speed: speed, Connections: 1})
}

// batches reads what is left of a trace.
func (a *ahead) batches() (all []*batch) {
	for {
		b := &batch{}
		b.err = a.read(b)
		if all = append(all, b); b.err != nil {
			return all
		}
	}
}

// dueTimes are when the requests of a trace are due, in seconds from its beginning.
func dueTimes(a *ahead) (all []float64) {
	for _, b := range a.batches() {
		for i := range b.requests {
			all = append(all, float64(b.requests[i].due)/1e9)
		}
	}
	return all
}

// getsAt makes the lines of gets at some seconds.
func getsAt(seconds ...int) (lines []string) {
	for _, s := range seconds {
		lines = append(lines, fmt.Sprintf("%d,a,1,1,1,get,0", s))
	}
	return lines
}

// TestReplaySpreadsRequestsOverTheirSecond: times in a trace are whole seconds.
func TestReplaySpreadsRequestsOverTheirSecond(t *testing.T) {
	got := dueTimes(aheadOf(t, 2, getsAt(100, 100, 101, 101, 101, 101, 105, 105)...))
	// Of the last second it is not known whether it is over: it is taken to have as many requests as the one before.
	if want := []float64{0, 0.25, 0.5, 0.625, 0.75, 0.875, 2.5, 2.625}; !slices.Equal(got, want) {
		t.Errorf("due at %v, want %v", got, want)
	}
	got = dueTimes(aheadOf(t, 1, getsAt(100, 100, 99, 101)...))
	if want := []float64{0, 0.5, 0.5, 1}; !slices.Equal(got, want) {
		t.Errorf("with a time that goes back due at %v, want %v", got, want)
	}
}

// TestReplaySpreadsFullSeconds: so are those of seconds with very many, of which nothing is known from the second
// before.
func TestReplaySpreadsFullSeconds(t *testing.T) {
	const first, then = 80_000, 200_000
	lines := append(slices.Repeat(getsAt(100), first), slices.Repeat(getsAt(101), then)...)
	got := dueTimes(aheadOf(t, 1, append(lines, getsAt(102)...)...))
	if len(got) != first+then+1 {
		t.Fatalf("%d requests", len(got))
	}
	for i, due := range got {
		want := float64(i) / first
		if i >= first {
			want = 1 + float64(i-first)/then
		}
		if math.Abs(due-want) > 1e-6 {
			t.Fatalf("request %d is due at %v s, want %v", i, due, want)
		}
	}
}

// TestReplayBoundsWhatItReadsAhead: a second with too many requests, or too much of keys, is a number of batches,
// whose requests are spread over as many as the second before had.
func TestReplayBoundsWhatItReadsAhead(t *testing.T) {
	for _, c := range []struct{ most, mostKeys int }{{10, 1000}, {1000, 10}} {
		a := aheadOf(t, 1, append(slices.Repeat(getsAt(100), 25), slices.Repeat(getsAt(101), 25)...)...)
		a.most, a.mostKeys = c.most, c.mostKeys
		var got []float64
		for _, b := range a.batches() {
			first, last := b.requests[0].due, b.requests[len(b.requests)-1].due
			got = append(got, float64(len(b.requests)), math.Round(float64(first)/1e7), math.Round(float64(last)/1e7))
		}
		want := []float64{10, 0, 90, 10, 90, 95, 5, 95, 96, 10, 100, 136, 10, 140, 176, 5, 180, 196}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: size, and first and last due time of the batches in 10 ms are %v, want %v", c, got, want)
		}
	}
}

// TestReplayKeepsNoRawKeys: the key in a trace may have 256 KB, that for the server has 250 bytes.
func TestReplayKeepsNoRawKeys(t *testing.T) {
	var lines []string
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("100,%d%s,%d,10,1,get,0", i, strings.Repeat("k", 200_000), 20+i))
	}
	b := aheadOf(t, 1, lines...).batches()[0]
	if len(b.requests) != len(lines) || cap(b.keys) > 4*len(lines)*load.MaxKeySize {
		t.Errorf("%d requests, %d B for keys", len(b.requests), cap(b.keys))
	}
	for i := range b.requests {
		if key := b.requests[i].key; len(key) != 20+i {
			t.Errorf("key %d is %q", i, key)
		}
	}
}

func TestReplayTimesToLive(t *testing.T) {
	long := int64(maxRelativeTTL + 100)
	for _, c := range []struct {
		how   string
		speed float64
		ttl   int64
		want  int64
	}{
		{TTLRecorded, 10, 60, 60}, {TTLRecorded, 10, 0, 0}, {TTLIgnored, 10, 60, 0}, {TTLScaled, 10, 60, 6}, {TTLScaled, 10, 1, 1}, {TTLScaled, 10, 11, 2},
		{TTLRecorded, 1, maxRelativeTTL, maxRelativeTTL}, {TTLScaled, 10, long, long / 10},
		{TTLRecorded, 1, math.MaxInt32, math.MaxInt32}, {TTLRecorded, 1, trace.MaxTTL, math.MaxInt32}, {TTLScaled, 10, trace.MaxTTL, math.MaxInt32},
		{TTLScaled, 1e-9, trace.MaxTTL, math.MaxInt32}, {TTLScaled, 1e-300, trace.MaxTTL, math.MaxInt32}, {TTLScaled, 5e-324, 1, math.MaxInt32},
	} {
		r := replaying{options: &Options{TTL: c.how, Speed: c.speed}}
		if got := r.timeToLive(c.ttl); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	r := replaying{options: &Options{TTL: TTLRecorded}}
	if before, got := time.Now().Unix(), r.timeToLive(long); got < before+long || got > time.Now().Unix()+long {
		t.Errorf("a month and more: %d", got)
	}
}

func TestTraceKeysFit(t *testing.T) {
	for _, c := range []struct {
		key  string
		size int
		want string
	}{
		{"q:q:1:8WTfjZU14ee", 17, "q:q:1:8WTfjZU14ee"},
		{"short", 8, "short---"},
		{"known", 5, "known"},
	} {
		if got := appendKey(nil, &trace.Record{Key: []byte(c.key), KeySize: c.size}); string(got) != c.want {
			t.Errorf("%s, %d B: %s", c.key, c.size, got)
		}
	}
	seen := make(map[string]bool)
	for _, key := range []string{"longer than it was", "longer than it were", "with space", "with\ttab", "\x7f",
		strings.Repeat("a", 300), strings.Repeat("a", 299)} {
		for _, size := range []int{12, 20, 250} {
			got := appendKey([]byte("before"), &trace.Record{Key: []byte(key), KeySize: size})[len("before"):]
			if len(got) != size || slices.ContainsFunc(got, unprintable) || seen[string(got)] {
				t.Errorf("%.20q, %d B: %q", key, size, got)
			}
			seen[string(got)] = true
		}
	}
}

// valueText is a value in one piece.
func valueText(key string, size int) string {
	var c conn
	c.setValue(keyHash([]byte(key)), size)
	var b []byte
	for len(b) < size {
		b = append(b, c.piece(len(b), size)...)
	}
	return string(b)
}

// TestLargeValuesAreSentInPieces: each of many connections may have one of gigabytes, which is more memory than there is.
func TestLargeValuesAreSentInPieces(t *testing.T) {
	for _, op := range []trace.Op{trace.Set, trace.Append} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := conn{out: bufio.NewWriter(io.Discard)}
		if err := c.writeValue(&request{op: op, size: 1 << 28}); err != nil {
			t.Fatal(err)
		}
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1<<26 {
			t.Errorf("%s: %d MB were allocated for 256", op, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
}

func TestValuesAreChecked(t *testing.T) {
	const key = "key"
	much := func(of string) string { return strings.Repeat(of, 5000) }
	for _, size := range []int{0, 1, 7, 19, 20, 27, 28, 29, 1000, 70_000, 200_000} {
		text := valueText(key, size)
		other := valueText("kez", size)
		if len(text) != size || size > 5 && (text == other || strings.HasPrefix(valueText(key, size+1), text)) {
			t.Errorf("value of %d B: %.40q", size, text)
		}
		for _, c := range []struct {
			name              string
			value             string
			extended, counted bool
			wrong             bool
		}{
			{"as stored", text, false, false, false},
			{"as stored, others may differ", text, true, true, false},
			{"extended", "ppp" + text + "aaaa", true, false, false},
			{"extended, but nothing extends", "ppp" + text + "aaaa", false, true, true},
			{"extended by something else", text + "aaab", true, false, true},
			{"the beginning", text[:max(0, size-1)], true, true, size >= numberSize || size == 1},
			{"another key", other, true, false, text != other},
			{"another number", strings.Repeat("7", size), false, true, size >= numberSize},
			{"a number with fewer digits", strings.Repeat("7", size) + "  ", false, true, size == 0 || size >= numberSize},
			{"a number, much extended", much("p") + "18446744073709551615  " + much("a"), true, true, size == 0 || size >= numberSize},
			{"a number with many spaces", "1" + much(" ") + much("a"), true, true, size == 0 || size >= numberSize},
			{"a number of more than 64 bits", "18446744073709551616", true, true, true},
			{"a number with too many digits", "100000000000000000000", true, true, true},
			{"no number, much extended", much("p") + much("a"), true, true, size > 0},
			{"a number extended by something else", "1 " + much("a") + "b", true, true, true},
		} {
			r := &replaying{options: &Options{}}
			r.extended.Store(c.extended)
			r.counted.Store(c.counted)
			conn := &conn{r: r, Client: &load.Client{In: bufio.NewReader(strings.NewReader(c.value + "\r\n"))}}
			err := conn.checkValue(&request{key: []byte(key), hash: keyHash([]byte(key))}, len(c.value), size)
			rest, _ := io.ReadAll(conn.In)
			if (err != nil) != c.wrong || err == nil && string(rest) != "\r\n" {
				t.Errorf("%d B, %s: %v, %q is left", size, c.name, err, rest)
			}
		}
	}
}

func TestReplayDoesNotAllocate(t *testing.T) {
	s := fakeserver.Start(t, nil)
	o := replayOptions(s.Addr(), "")
	r := &replaying{options: &o, tally: newTally()}
	c, err := r.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := &request{key: []byte("key"), hash: keyHash([]byte("key")), size: 1000}
	set := &request{op: trace.Set, key: q.key, hash: q.hash, size: q.size}
	var reply bytes.Reader
	text := []byte("VALUE key 1000 1000\r\n" + valueText("key", 1000) + "\r\nEND\r\n")
	c.In = bufio.NewReaderSize(&reply, 32<<10)
	c.out = bufio.NewWriter(io.Discard)
	if n := testing.AllocsPerRun(1000, func() {
		reply.Reset(text)
		c.group = append(c.group[:0], q)
		if err := errors.Join(c.exchange(), c.write(set)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}
