package trace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"ringcached/bench/evictsim"
)

// Kind is a kind of trace that can be generated.
type Kind struct {
	Name  string
	Title string
	// Gets and Sets are the parts of the mix, unless others are asked for.
	Gets, Sets int
	requests   func(s float64) evictsim.Trace
	sizes      func(o *Options) sizes
}

// Kinds lists the kinds.
func Kinds() []Kind {
	return []Kind{
		{"zipf", "keys by Zipf's law", 9, 1, evictsim.Popular, ofRange},
		{"scan", "zipf, between scans of keys that are asked for once", 9, 1, evictsim.Scan, ofRange},
		{"shifting", "zipf, with keys that change their popularity and values that change their sizes", 9, 1, evictsim.Shifting, ofShifts},
		{"etc", "zipf, with the sizes and the mix of Facebook's ETC pool", 30, 1, evictsim.Popular, ofETC},
	}
}

// Options says what is generated.
type Options struct {
	Kind     string
	Requests int64
	Keys     int // that are asked for again and again; scans have further ones
	Rate     int // requests per second of the trace's time
	Clients  int
	KeySize  int   // bytes; etc has its own
	Values   Range // sizes of values; etc has its own
	TTL      int64 // seconds, of sets; 0: none
	Gets     int   // and Sets: the parts of the mix; both 0: the kind's
	Sets     int
	ZipfS    float64 // exponent of Zipf's law
	Seed     uint64  // the same seed gives the same trace
}

// Range is sizes from Low to High bytes, both included.
type Range struct{ Low, High int }

// ParseRange reads a "SIZE" or "LOW-HIGH".
func ParseRange(text string) (Range, error) {
	low, high, between := strings.Cut(text, "-")
	if !between {
		high = low
	}
	a, aerr := strconv.Atoi(low)
	b, berr := strconv.Atoi(high)
	if aerr != nil || berr != nil || a < 0 || b < a {
		return Range{}, fmt.Errorf("%q is neither SIZE nor LOW-HIGH", text)
	}
	return Range{a, b}, nil
}

func (r Range) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// DefaultOptions are a million requests of a kind for a hundred thousand keys.
func DefaultOptions(kind string) Options {
	return Options{
		Kind: kind, Requests: 1_000_000, Keys: 100_000, Rate: 10_000, Clients: 100, KeySize: 20, Values: Range{100, 1000}, ZipfS: 0.99, Seed: 1,
	}
}

// minKeySize is the shortest key in bytes: a letter, and the number of a key in base 36.
const minKeySize = 1 + 7

func (o *Options) kind() (Kind, error) {
	var known []string
	for _, k := range Kinds() {
		if k.Name == o.Kind {
			return k, nil
		}
		known = append(known, k.Name)
	}
	return Kind{}, fmt.Errorf("kind %q is not one of %s", o.Kind, strings.Join(known, ", "))
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	if _, err := o.kind(); err != nil {
		return err
	}
	for _, r := range []struct {
		flag             string
		value, low, high int64
	}{
		{"requests", o.Requests, 1, 1 << 40},
		{"keys", int64(o.Keys), 20, 1 << 30},
		{"rate", int64(o.Rate), 1, 1 << 30},
		{"clients", int64(o.Clients), 1, 1 << 30},
		{"key-size", int64(o.KeySize), minKeySize, 250},
		{"value-size", int64(o.Values.Low), 1, MaxValueSize},
		{"value-size", int64(o.Values.High), int64(o.Values.Low), MaxValueSize / shiftMost},
		{"ttl", o.TTL, 0, MaxTTL},
		{"ratio (gets)", int64(o.Gets), 0, 1 << 20},
		{"ratio (sets)", int64(o.Sets), 0, 1 << 20},
	} {
		if r.value < r.low || r.value > r.high {
			return fmt.Errorf("%s: %d is not in %d..%d", r.flag, r.value, r.low, r.high)
		}
	}
	if !(o.ZipfS > 0 && o.ZipfS <= 10) {
		return fmt.Errorf("zipf-s: %g is not in 0..10 (exclusive of 0)", o.ZipfS)
	}
	return nil
}

// Generate hands the requests to write one after the other, until there are as many as asked for, write fails or the context ends. A record
// and its key are valid until write returns.
func (o *Options) Generate(ctx context.Context, write func(*Record) error) error {
	if err := o.Validate(); err != nil {
		return err
	}
	kind, err := o.kind()
	if err != nil {
		return err
	}
	if o.Gets+o.Sets > 0 {
		kind.Gets, kind.Sets = o.Gets, o.Sets
	}
	g := generator{o: o, kind: kind, sizes: kind.sizes(o), src: rand.New(rand.NewPCG(o.Seed, 2))}
	for r := range kind.requests(o.ZipfS).Requests(o.Keys, o.Seed) {
		if g.made == o.Requests {
			return nil
		}
		if g.made%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := write(g.next(r.Key)); err != nil {
			return err
		}
	}
	return nil
}

// generator makes records of keys.
type generator struct {
	o     *Options
	kind  Kind
	sizes sizes
	src   *rand.Rand // of operations and clients
	made  int64
	rec   Record
	key   []byte
}

func (g *generator) next(key uint32) *Record {
	keySize, valueSize := g.sizes(key, g.made)
	g.key = appendKey(g.key[:0], key, keySize)
	g.rec = Record{
		Time: g.made / int64(g.o.Rate), Key: g.key, KeySize: keySize, ValueSize: valueSize, Client: g.src.Uint64N(uint64(g.o.Clients)),
	}
	if g.src.IntN(g.kind.Gets+g.kind.Sets) >= g.kind.Gets {
		g.rec.Op, g.rec.TTL = Set, g.o.TTL
	}
	g.made++
	return &g.rec
}

// appendKey appends a "k", and the key's number in base 36 in size-1 digits.
func appendKey(dst []byte, key uint32, size int) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	at := len(dst)
	dst = append(dst, 'k')
	for range size - 1 {
		dst = append(dst, '0')
	}
	for p := at + size - 1; key > 0; p-- {
		dst[p] = digits[key%36]
		key /= 36
	}
	return dst
}
