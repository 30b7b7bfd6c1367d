package trace

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"ringcached/bench/evictsim"
	"ringcached/bench/load"
)

// Kind is a kind of trace that can be generated.
type Kind struct {
	Name, Title string
	Gets, Sets  int // the parts of the mix, unless others are asked for
	requests    func(s float64) evictsim.Trace
	// size is that of a key's value in the n-th request, from 0. It draws from src, which belongs to the key, what
	// the key's size draws.
	size func(o *Options, src *rand.PCG, n int64) (keySize, valueSize int)
}

// Kinds lists the kinds.
func Kinds() []Kind {
	return []Kind{
		{"zipf", "keys by Zipf's law", 9, 1, evictsim.Popular, rangeSize},
		{"scan", "zipf, between scans of keys that are asked for once", 9, 1, evictsim.Scan, rangeSize},
		{
			"shifting", "zipf, with keys that change their popularity and values that change their sizes", 9, 1,
			evictsim.Shifting, shiftingSize,
		},
		{"etc", "zipf, with the sizes and the mix of Facebook's ETC pool", 30, 1, evictsim.Popular, etcSize},
	}
}

// Options says what is generated.
type Options struct {
	Kind          string
	Requests      int64
	Keys          int // that are asked for again and again; scans have further ones
	Rate, Clients int // requests per second of the trace's time
	KeySize       int // bytes; etc has its own sizes
	Values        Range
	TTL           int64   // seconds, of sets; 0: none
	Gets, Sets    int     // the parts of the mix; both 0: the kind's
	ZipfS         float64 // exponent of Zipf's law
	Seed          uint64  // the same seed gives the same trace
}

// Range is sizes from Low to High bytes, both included.
type Range struct{ Low, High int }

// ParseRange reads a "SIZE" or "LOW-HIGH".
func ParseRange(text string) (Range, error) {
	low, high, between := strings.Cut(text, "-")
	if !between {
		high = low
	}
	a, aerr := strconv.ParseUint(low, 10, 32)
	b, berr := strconv.ParseUint(high, 10, 32)
	if aerr != nil || berr != nil || b < a {
		return Range{}, fmt.Errorf("%q is neither SIZE nor LOW-HIGH", text)
	}
	return Range{int(a), int(b)}, nil
}

// DefaultOptions are a million requests of a kind for a hundred thousand keys.
func DefaultOptions(kind string) Options {
	return Options{
		Kind: kind, Requests: 1_000_000, Keys: 100_000, Rate: 10_000, Clients: 100, KeySize: 20, Values: Range{100, 1000},
		ZipfS: 0.99, Seed: 1,
	}
}

const (
	minKeySize   = 1 + 7   // bytes: a letter, and the number of a key in base 36
	mostGenerate = 1 << 26 // bytes of a value, which shifting makes five times as large
)

// kind is the kind that was asked for.
func (o *Options) kind() (k Kind, err error) {
	var known []string
	for _, k = range Kinds() {
		if k.Name == o.Kind {
			return k, nil
		}
		known = append(known, k.Name)
	}
	return k, load.OneOf("kind", o.Kind, known...)
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	_, err := o.kind()
	if !(o.ZipfS > 0 && o.ZipfS <= 10) {
		err = cmp.Or(err, fmt.Errorf("zipf-s: %g is not in 0..10 (exclusive of 0)", o.ZipfS))
	}
	return cmp.Or(err,
		load.InRange("requests", o.Requests, 1, 1<<40),
		load.InRange("keys", o.Keys, 20, 1<<30),
		load.InRange("rate", o.Rate, 1, 1<<30),
		load.InRange("clients", o.Clients, 1, 1<<30),
		load.InRange("key-size", o.KeySize, minKeySize, 250),
		load.InRange("value-size", o.Values.Low, 1, o.Values.High),
		load.InRange("value-size", o.Values.High, 1, mostGenerate),
		load.InRange("ttl", o.TTL, 0, MaxTTL),
		load.InRange("ratio (gets)", o.Gets, 0, 1<<20),
		load.InRange("ratio (sets)", o.Sets, 0, 1<<20))
}

// Generate hands the requests to write one after the other, until there are as many as asked for, write fails or the
// context ends. A record and its key are valid until write returns.
func (o *Options) Generate(ctx context.Context, write func(*Record) error) error {
	kind, err := o.kind()
	if err = cmp.Or(err, o.Validate()); err != nil {
		return err
	}
	gets, all := kind.Gets, kind.Gets+kind.Sets
	if o.Gets+o.Sets > 0 {
		gets, all = o.Gets, o.Gets+o.Sets
	}
	mix := rand.New(rand.NewPCG(o.Seed, 2)) // of operations and clients
	sizes := rand.NewPCG(0, 0)
	rec := Record{Count: 1}
	made := int64(0)
	for r := range kind.requests(o.ZipfS).Requests(o.Keys, o.Seed) {
		if made == o.Requests {
			return nil
		}
		if made%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		sizes.Seed(o.Seed, uint64(r.Key)<<8|3)
		rec.KeySize, rec.ValueSize = kind.size(o, sizes, made)
		rec.Key = load.AppendKey(rec.Key[:0], 'k', r.Key, 36, rec.KeySize)
		rec.Time, rec.Client, rec.Op, rec.TTL = made/int64(o.Rate), mix.Uint64N(uint64(o.Clients)), Get, 0
		if mix.IntN(all) >= gets {
			rec.Op, rec.TTL = Set, o.TTL
		}
		if err := write(&rec); err != nil {
			return err
		}
		made++
	}
	return nil
}

// fraction draws from 0 to 1.
func fraction(src *rand.PCG) float64 { return float64(src.Uint64()>>11) / (1 << 53) }

// rangeSize are the sizes that were asked for.
func rangeSize(o *Options, src *rand.PCG, _ int64) (keySize, valueSize int) {
	return o.KeySize, o.Values.Low + int(fraction(src)*float64(o.Values.High-o.Values.Low+1))
}

// shiftingSize are the sizes that were asked for, half as much more after each shift, and after eight the first ones
// again: memory that was divided by size has to be divided anew.
func shiftingSize(o *Options, src *rand.PCG, n int64) (keySize, valueSize int) {
	keySize, valueSize = rangeSize(o, src, n)
	return keySize, valueSize * int(2+n/int64(evictsim.ShiftAfter(o.Keys))%8) / 2
}

// etcSize are sizes of Facebook's ETC pool, as modelled in Atikoglu, Xu, Frachtenberg, Jiang and Paleczny, "Workload
// analysis of a large-scale key-value store", SIGMETRICS 2012. Since a get of 0 bytes is a miss in a trace, empty
// values have one byte.
func etcSize(_ *Options, src *rand.PCG, _ int64) (keySize, valueSize int) {
	k, v := fraction(src), fraction(src)
	return etcKey(k), max(etcValue(v), 1)
}

// etcKey is the size that a fraction of all keys is below: a generalized extreme value distribution.
func etcKey(fraction float64) int {
	const location, scale, shape = 30.7984, 8.20449, 0.078688
	x := location + scale*(math.Pow(-math.Log(max(fraction, 1e-18)), -shape)-1)/shape
	return int(min(max(x, minKeySize), 250))
}

// etcSmall are the probabilities of values of 0 to 14 bytes. etcSmallAll is their sum.
var etcSmall = [...]float64{
	0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065, 0.00606,
	0.00023, 0.00837, 0.00837, 0.08989, 0.00092, 0.00326, 0.01980,
}

const (
	etcSmallAll  = 0.44155
	etcValueMost = 1_000_000 // bytes: the servers' limit of an item, about
)

// etcValue is the size that a fraction of all values is below: a table and, above it, a generalized Pareto
// distribution.
func etcValue(fraction float64) int {
	const location, scale, shape = 15, 214.476, 0.348238
	for size, p := range etcSmall {
		if fraction < p {
			return size
		}
		fraction -= p
	}
	above := max(1-fraction/(1-etcSmallAll), 1e-18) // of the larger ones, those that are larger yet
	return int(min(location+scale*(math.Pow(above, -shape)-1)/shape, etcValueMost))
}
