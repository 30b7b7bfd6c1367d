package trace

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"math"
	"strings"
	"testing"
)

// drawn is what a trace looks like as a whole.
type drawn struct {
	hash       uint64
	keys       map[string]int // requests for each
	sizes      map[string][]int
	sets       int
	last       Record
	valueBytes int64
}

func draw(t *testing.T, o Options) drawn {
	t.Helper()
	d := drawn{keys: make(map[string]int), sizes: make(map[string][]int)}
	h := fnv.New64a()
	w := NewWriter(h, Twitter)
	n := int64(0)
	err := o.Generate(t.Context(), func(r *Record) error {
		n++
		d.keys[string(r.Key)]++
		if s := d.sizes[string(r.Key)]; len(s) == 0 || s[len(s)-1] != r.ValueSize {
			d.sizes[string(r.Key)] = append(s, r.ValueSize)
		}
		if r.Op == Set {
			d.sets++
		}
		if (r.TTL != 0) != (r.Op == Set && o.TTL > 0) || len(r.Key) != r.KeySize || r.Client >= uint64(o.Clients) {
			t.Fatalf("%+v", r)
		}
		d.valueBytes += int64(r.ValueSize)
		d.last = *r
		return w.Write(r)
	})
	if err := errors.Join(err, w.Flush()); err != nil || n != o.Requests {
		t.Fatalf("%d requests of %d, %v", n, o.Requests, err)
	}
	d.hash = h.Sum64()
	return d
}

func small(kind string) Options {
	o := DefaultOptions(kind)
	o.Requests, o.Keys, o.Rate, o.TTL = 20_000, 1000, 1000, 60
	return o
}

func TestTracesAreDrawnFromTheSeed(t *testing.T) {
	for _, k := range Kinds() {
		o := small(k.Name)
		first, again := draw(t, o), draw(t, o)
		o.Seed++
		other := draw(t, o)
		if first.hash != again.hash || first.hash == other.hash {
			t.Errorf("%s: %x, again %x, from another seed %x", k.Name, first.hash, again.hash, other.hash)
		}
		if first.last.Time != 19 {
			t.Errorf("%s: the last of 20 000 requests, 1000 in a second, is at %d", k.Name, first.last.Time)
		}
		want := 20_000. * float64(k.Sets) / float64(k.Gets+k.Sets)
		if math.Abs(float64(first.sets)-want) > 5*math.Sqrt(want) {
			t.Errorf("%s: %d sets, want about %.0f", k.Name, first.sets, want)
		}
	}
}

func TestKindsAreWhatTheySay(t *testing.T) {
	zipf, scan, shifting, etc := draw(t, small("zipf")), draw(t, small("scan")), draw(t, small("shifting")), draw(t, small("etc"))
	first := "k" + strings.Repeat("0", 19)
	if n := len(zipf.keys); n > 1000 {
		t.Errorf("zipf: %d keys of 1000", n)
	}
	if top := zipf.keys[first]; top < 2000 || top > 3500 { // 13 % by the law
		t.Errorf("zipf: the most popular key has %d of 20 000 requests", top)
	}
	once := 0
	for key := range scan.keys {
		if zipf.keys[key] == 0 && scan.keys[key] == 1 {
			once++
		}
	}
	if once < 20_000/600*90 { // a hundred in six hundred requests
		t.Errorf("scan: %d keys are asked for once", once)
	}
	grown := 0
	for key := range shifting.sizes {
		if len(shifting.sizes[key]) > 1 {
			grown++
		}
	}
	if len(zipf.sizes[first]) != 1 || grown < 500 {
		t.Errorf("shifting: %d keys have values of several sizes", grown)
	}
	if shifting.valueBytes < 2*zipf.valueBytes {
		t.Errorf("shifting: %d bytes of values, without shifts %d", shifting.valueBytes, zipf.valueBytes)
	}
	lengths := make(map[int]bool)
	for key := range etc.keys {
		lengths[len(key)] = true
	}
	if len(lengths) < 30 {
		t.Errorf("etc: keys of %d lengths", len(lengths))
	}
}

// TestETCFollowsThePaper compares quantiles of the sizes with those of the published distributions, computed by hand
// from their formulas.
func TestETCFollowsThePaper(t *testing.T) {
	for _, c := range []struct {
		name      string
		size      func(float64) int
		fraction  float64
		low, high int
	}{
		{"key, median", etcKey, 0.5, 33, 34}, // 30.8 + 8.2*((ln 2)^-0.0787 - 1)/0.0787 = 33.85
		{"key, 99 %", etcKey, 0.99, 75, 77},
		{"value, 0 B", etcValue, 0.005, 0, 0},
		{"value, 2 B", etcValue, 0.1, 2, 2},
		{"value, 14 B", etcValue, 0.4415, 14, 14},
		{"value, first of the large", etcValue, 0.44156, 15, 15},
		{"value, median of the large", etcValue, 0.44155 + 0.55845/2, 183, 184}, // 15 + 214.476*(2^0.348238 - 1)/0.348238 = 183.1
		{"value, the last", etcValue, 1, etcValueMost, etcValueMost},
	} {
		if got := c.size(c.fraction); got < c.low || got > c.high {
			t.Errorf("%s: %d, want %d..%d", c.name, got, c.low, c.high)
		}
	}
}

func TestGenerateStops(t *testing.T) {
	full := errors.New("no space")
	o := small("zipf")
	if err := o.Generate(t.Context(), func(*Record) error { return full }); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Generate(ctx, func(*Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"kind": func(o *Options) { o.Kind = "mixed" }, "requests": func(o *Options) { o.Requests = 0 }, "keys": func(o *Options) { o.Keys = 1 },
		"rate": func(o *Options) { o.Rate = 0 }, "key-size": func(o *Options) { o.KeySize = 7 }, "zipf-s": func(o *Options) { o.ZipfS = math.NaN() },
		"value-size": func(o *Options) { o.Values = Range{5, 4} }, "ttl": func(o *Options) { o.TTL = -1 },
	} {
		o := DefaultOptions("zipf")
		change(&o)
		if err := o.Validate(); err == nil || !bytes.Contains([]byte(err.Error()), []byte(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRange(t *testing.T) {
	for text, want := range map[string]Range{"100": {100, 100}, "1-9": {1, 9}, "0": {0, 0}} {
		if r, err := ParseRange(text); err != nil || r != want {
			t.Errorf("%s: %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "-", "9-1", "-5", "5-", "a", "1-2-3"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%q: %v", text, r)
		}
	}
}
