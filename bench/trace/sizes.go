package trace

import (
	"math"
	"math/rand/v2"

	"ringcached/bench/evictsim"
)

// sizes gives the sizes of a key and of its value in bytes, for the n-th request of a trace, from 0. They depend on the key, and on what its
// number is among all requests where sizes change with time.
type sizes func(key uint32, n int64) (keySize, valueSize int)

// fractions draws two numbers from 0 to 1 that belong to a key.
func fractions(seed uint64, key uint32) (a, b float64) {
	var src rand.PCG
	src.Seed(seed, uint64(key)<<8|3)
	next := func() float64 { return float64(src.Uint64()>>11) / (1 << 53) }
	return next(), next()
}

// in picks a size of a range.
func (r Range) in(fraction float64) int { return r.Low + int(fraction*float64(r.High-r.Low+1)) }

// ofRange are the sizes that were asked for.
func ofRange(o *Options) sizes {
	return func(key uint32, _ int64) (int, int) {
		f, _ := fractions(o.Seed, key)
		return o.KeySize, o.Values.in(f)
	}
}

// shiftSteps is after how many shifts sizes are the first ones again. None grows by more than shiftMost.
const (
	shiftSteps = 8
	shiftMost  = (shiftSteps + 2) / 2
)

// ofShifts are the sizes that were asked for, half as much more after each shift, and after eight the first ones again: memory that was
// divided by size has to be divided anew.
func ofShifts(o *Options) sizes {
	plain := ofRange(o)
	after := int64(evictsim.ShiftAfter(o.Keys))
	return func(key uint32, n int64) (int, int) {
		keySize, valueSize := plain(key, n)
		return keySize, valueSize * int(2+n/after%shiftSteps) / 2
	}
}

// The sizes of keys and values of Facebook's ETC pool, as modelled in Atikoglu, Xu, Frachtenberg, Jiang and Paleczny, "Workload analysis of a
// large-scale key-value store", SIGMETRICS 2012: keys follow a generalized extreme value distribution; small values have probabilities of
// their own, and the others follow a generalized Pareto distribution.
const (
	etcKeyLocation, etcKeyScale, etcKeyShape       = 30.7984, 8.20449, 0.078688
	etcValueLocation, etcValueScale, etcValueShape = 15, 214.476, 0.348238
	etcValueMost                                   = 1_000_000 // bytes: the servers' limit of an item, about
)

// etcSmall are the probabilities of values of 0 to 14 bytes.
var etcSmall = [...]float64{
	0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065, 0.00606, 0.00023, 0.00837, 0.00837, 0.08989, 0.00092, 0.00326, 0.01980,
}

// etcSmallAll is their sum.
const etcSmallAll = 0.44155

// ofETC are sizes of that model. Since a get of 0 bytes is a miss in a trace, empty values have one byte.
func ofETC(o *Options) sizes {
	return func(key uint32, _ int64) (int, int) {
		k, v := fractions(o.Seed, key)
		return etcKey(k), max(etcValue(v), 1)
	}
}

// etcKey is the size that a fraction of all keys is below.
func etcKey(fraction float64) int {
	x := etcKeyLocation + etcKeyScale*(math.Pow(-math.Log(max(fraction, 1e-18)), -etcKeyShape)-1)/etcKeyShape
	return int(min(max(x, minKeySize), 250))
}

// etcValue is the size that a fraction of all values is below.
func etcValue(fraction float64) int {
	for size, p := range etcSmall {
		if fraction < p {
			return size
		}
		fraction -= p
	}
	above := max(1-fraction/(1-etcSmallAll), 1e-18) // of the larger ones, those that are larger yet
	return int(min(etcValueLocation+etcValueScale*(math.Pow(above, -etcValueShape)-1)/etcValueShape, etcValueMost))
}
