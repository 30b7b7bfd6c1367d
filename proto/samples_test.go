package proto_test

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/proto/latency"
)

// Which calls are sampled depends on the worker's number alone, so that what these tests count is the same each time.

// hotKeysOn turns on what --hot-keys does.
func hotKeysOn(c *proto.Config) { c.Settings.HotKeys = true }

// samples are how many requests of each class were timed.
func (w *worker) samples() (n [latency.Classes]uint64) {
	for c := range latency.Classes {
		h := w.server.Latency(c)
		n[c] = h.Count()
	}
	return n
}

// commandsOf are requests of each class, in all protocols, each for a key of that name.
var commandsOf = map[latency.Class][]string{
	latency.Get: {
		"get KEY\r\n", "gets KEY\r\n", "get KEY KEY\r\n", "gat 0 KEY\r\n", "mg KEY v\r\n", "mg KEY N30 v\r\n", "mg KEY v T0\r\n", "mg KEY v q\r\n",
		request(0x00, 0, "", "KEY", ""), request(0x1d, 0, "\x00\x00\x00\x00", "KEY", ""),
	},
	latency.Store: {
		"set KEY 0 0 1\r\n1\r\n", "add KEY 0 0 1\r\n1\r\n", "append KEY 0 0 0\r\n\r\n", "cas KEY 0 0 1 1\r\n1\r\n", "ms KEY 1\r\n1\r\n", "ms KEY 1 MA\r\n1\r\n",
		request(0x01, 0, strings.Repeat("\x00", 8), "KEY", "1"),
	},
	latency.Delete: {"delete KEY\r\n", "md KEY\r\n", "md KEY I\r\n", request(0x04, 0, "", "KEY", "")},
	latency.Arith:  {"incr KEY 1\r\n", "decr KEY 1\r\n", "ma KEY\r\n", "ma KEY N0\r\n", request(0x05, 0, strings.Repeat("\x00", 20), "KEY", "")},
	latency.Touch:  {"touch KEY 0\r\n", request(0x1c, 0, "\x00\x00\x00\x00", "KEY", "")},
	latency.Other:  {"version\r\n", "nonsense\r\n", "get\r\n", "me KEY\r\n", request(0x0b, 0, "", "", "")},
}

// TestLatencyByClass: one request of 64 is timed, as one of its class.
func TestLatencyByClass(t *testing.T) {
	const rounds = 40 * latency.Period
	for class, commands := range commandsOf {
		for _, command := range commands {
			w := newWorker(t, nil, nil)
			w.ask("set KEY 0 0 1\r\n1\r\n")
			w.Closed(0, contract.ReasonNormal)
			w.Open(0, 0) // the first byte decides on the protocol
			before := w.samples()
			for range rounds {
				w.ask(command)
			}
			for c, n := range w.samples() {
				n -= before[c]
				if latency.Class(c) != class && n > 0 || latency.Class(c) == class && (n < 30 || n > 50) {
					t.Errorf("%d times %q: %d samples of class %s", rounds, command, n, latency.Names[c])
				}
			}
			if h := w.server.Latency(class); h.Sum == 0 {
				t.Errorf("%q takes no time", command)
			}
		}
	}
}

// TestLatencyOfPipelines: a pipeline is one call of Data, and its requests are one sample.
func TestLatencyOfPipelines(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.RequestsPerEvent = 16 })
	w.ask("set KEY 0 0 1\r\n1\r\n")
	const rounds = 40 * latency.Period
	for range rounds {
		w.ask(strings.Repeat("get KEY\r\n", 16))
	}
	if n := w.samples()[latency.Get]; n < 30 || n > 50 {
		t.Errorf("%d samples of %d pipelines", n, rounds)
	}
}

// TestLatencyOfPieces: a request that arrives in pieces is timed when its last piece has come, and only the handling of that.
func TestLatencyOfPieces(t *testing.T) {
	w := newWorker(t, nil, nil)
	const rounds = 40 * latency.Period
	for range rounds {
		for _, piece := range []string{"set a 0 0 10\r\n", "0123", "456789\r\n"} {
			if n, _ := w.data(piece); n != len(piece) {
				t.Fatalf("%q: %d bytes were used", piece, n)
			}
		}
		w.EndBatch()
		w.out.Flush(t, w.Worker)
	}
	n := w.samples()
	if n[latency.Store] < 25 || n[latency.Store] > 55 {
		t.Errorf("%d samples of %d sets in three pieces", n[latency.Store], rounds)
	}
	n[latency.Store] = 0
	if n != [latency.Classes]uint64{} {
		t.Errorf("samples of other classes: %v", n)
	}
}

// TestLatencyOfUploads: so is a value that was received straight into its item.
func TestLatencyOfUploads(t *testing.T) {
	w := newWorker(t, nil, nil)
	const rounds = 40 * latency.Period
	value := strings.Repeat("x", 20000) + "\r\n"
	for range rounds {
		if _, next := w.data("set a 0 0 20000\r\n"); next != contract.Upload {
			t.Fatalf("next is %v", next)
		}
		for off := 0; off < len(value); {
			parts := w.UploadBuffer(0, make([][]byte, 0, 1))
			n := copy(parts[0], value[off:])
			off += n
			w.UploadAdvance(0, n, &w.out)
		}
		if got := string(w.out.Bytes); got != "STORED\r\n" {
			t.Fatalf("got %q", got)
		}
		w.EndBatch()
		w.out.Reset()
	}
	if n := w.samples()[latency.Store]; n < 25 || n > 55 {
		t.Errorf("%d samples of %d uploads", n, rounds)
	}
}

// hotKeys are the lines of `stats hotkeys`.
func (w *worker) hotKeys() map[string]string {
	w.t.Helper()
	lines := map[string]string{}
	for line := range strings.Lines(w.ask("stats hotkeys\r\n")) {
		if fields := strings.Fields(line); len(fields) == 3 {
			lines[fields[1]] = fields[2]
		}
	}
	return lines
}

// number is one of the lines as a number.
func number(t *testing.T, lines map[string]string, name string) int {
	t.Helper()
	n, err := strconv.Atoi(lines[name])
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return n
}

// TestEveryUseOfAKeyCounts: commands of all classes and protocols count each key that they use, once.
func TestEveryUseOfAKeyCounts(t *testing.T) {
	const rounds = 100 * latency.Period
	for class, commands := range commandsOf {
		for _, command := range commands {
			uses := rounds * strings.Count(command, "KEY")
			if class == latency.Other {
				uses = 0
			}
			w := newWorker(t, nil, hotKeysOn)
			for range rounds {
				w.ask(command)
			}
			w.Closed(0, contract.ReasonNormal)
			w.Open(0, 0)
			lines := w.hotKeys()
			if n := number(t, lines, "hotkeys_uses"); n < uses*8/10 || n > uses*12/10 {
				t.Errorf("%q: %d uses, want %d", command, n, uses)
			}
			if uses > 0 && (lines["hotkeys:1:key"] != "KEY" || lines["hotkeys:1:count"] != lines["hotkeys_uses"] || lines["hotkeys:1:error"] != "0") {
				t.Errorf("%q: %v", command, lines)
			}
			if n := w.samples()[class]; n < 80 || n > 120 {
				t.Errorf("%q: with hot keys %d of %d requests are timed", command, n, rounds)
			}
		}
	}
}

// TestHotKeys: the hottest of many keys are shown in order, whatever is in them, as dumps show keys.
func TestHotKeys(t *testing.T) {
	w := newWorker(t, nil, hotKeysOn)
	keys := []string{"plain", strings.Repeat("k", 250), "a b\r\n\x00\xff%"}
	spelled := []string{"plain", strings.Repeat("k", 250), "a%20b%0D%0A%00%FF%25"}
	const rounds = 400 * latency.Period
	for i := range rounds {
		for j, get := range []string{
			"get " + keys[0] + "\r\n", "get " + keys[1] + "\r\n", "mg " + base64.StdEncoding.EncodeToString([]byte(keys[2])) + " b v\r\n",
		} {
			if i%(j+1) == 0 {
				w.ask(get)
			}
		}
		w.ask(fmt.Sprintf("get cold-%d\r\n", i))
	}
	lines := w.hotKeys()
	for j, key := range spelled {
		name := fmt.Sprintf("hotkeys:%d:", j+1)
		if lines[name+"key"] != key {
			t.Errorf("%s is %q, want %q", name, lines[name+"key"], key)
		}
		if n, want := number(t, lines, name+"count"), rounds/(j+1); n < want/2 || n > want*2 {
			t.Errorf("%s was used %d times, want %d", key, n, want)
		}
	}
	if top := w.server.HotKeys(2); len(top) != 2 || string(top[1].Name) != keys[1] || strconv.FormatUint(top[1].Count, 10) != lines["hotkeys:2:count"] {
		t.Errorf("HotKeys: %v", top)
	}
	if seconds := lines["hotkeys_seconds"]; seconds != "1" {
		t.Errorf("in %s seconds", seconds)
	}
}

// TestHotKeysOfZipf: of a load by Zipf's law with exponent 0.99 over a million keys, which comes to four workers, the ten hottest are shown, and their
// counts are right within a factor of two.
func TestHotKeysOfZipf(t *testing.T) {
	const keys, uses, workers = 1_000_000, 1_000_000, 4
	upTo := make([]float64, keys) // the sum of what a key and the hotter ones weigh
	sum := 0.0
	for i := range upTo {
		sum += math.Pow(float64(i+1), -0.99)
		upTo[i] = sum
	}
	first := newWorker(t, nil, hotKeysOn)
	all := []*proto.Worker{first.Worker}
	for range workers - 1 {
		w := first.server.NewWorker()
		w.Open(0, 0)
		all = append(all, w)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var get []byte
	for i := range uses {
		get = fmt.Appendf(get[:0], "get key:%d\r\n", sort.SearchFloat64s(upTo, random.Float64()*sum))
		all[i%workers].Data(0, get, &first.out)
		first.out.Reset()
	}
	lines := first.hotKeys()
	counts := map[string]int{}
	for n := 1; lines[fmt.Sprintf("hotkeys:%d:key", n)] != ""; n++ {
		counts[lines[fmt.Sprintf("hotkeys:%d:key", n)]] = number(t, lines, fmt.Sprintf("hotkeys:%d:count", n))
	}
	for i := range 10 {
		want := math.Pow(float64(i+1), -0.99) / sum * uses
		if got := float64(counts[fmt.Sprintf("key%%3A%d", i)]); got < want/2 || got > want*2 {
			t.Errorf("number %d of the hottest: count %.0f, want %.0f", i+1, got, want)
		}
	}
	if len(counts) != 20 {
		t.Errorf("%d keys are shown", len(counts))
	}
}

// TestHotKeysAreKeys: -X, which forbids to dump keys, forbids to show the hot ones; without --hot-keys there are none.
func TestHotKeysAreKeys(t *testing.T) {
	for _, configure := range []func(*proto.Config){
		nil,
		func(c *proto.Config) { c.Settings.HotKeys, c.Settings.DumpDisabled = true, true },
	} {
		w := newWorker(t, nil, configure)
		for range 100 * latency.Period {
			w.ask("get secret\r\n")
		}
		if got := w.server.HotKeys(10); len(got) > 0 {
			t.Errorf("got %v", got)
		}
		if got := w.ask("stats hotkeys\r\n"); strings.Contains(got, "secret") {
			t.Errorf("got %q", got)
		}
	}
}
