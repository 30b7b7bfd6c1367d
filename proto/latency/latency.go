package latency

import (
	"math"
	"slices"
)

// Class is a class of commands.
type Class uint8

const (
	Get     Class = iota // what reads items: get, gets, gat, mg
	Store                // what writes values: set, add, replace, append, prepend, cas, ms
	Delete               // delete, md
	Arith                // incr, decr, ma
	Touch                // touch
	Other                // all else, and requests with errors
	Classes              // how many there are
)

// Names are the classes' names in metrics.
var Names = [Classes]string{"get", "store", "delete", "arith", "touch", "other"}

// The buckets are those of Prometheus' native histograms of schema 3, 8 for each power of two: bucket i counts the times in seconds above Bound(i-1) and
// up to Bound(i). The first one has what is shorter, too, and the last one what is longer.
const (
	Schema  = 3
	First   = -24 << Schema // the index, in a native histogram, of bucket 0, whose bound is 2^-24 s, 60 ns
	Buckets = 26<<Schema + 1
)

// Bound is the largest time, in seconds, that bucket i counts.
func Bound(i int) float64 { return math.Exp2(float64(First+i) / (1 << Schema)) }

// bounds are those of the buckets in whole nanoseconds, which times are measured in.
var bounds = func() (b [Buckets]int64) {
	for i := range b {
		b[i] = int64(Bound(i) * 1e9)
	}
	return b
}()

// bucket is the bucket that counts a time.
func bucket(ns int64) int {
	i, _ := slices.BinarySearch(bounds[:Buckets-1], ns)
	return i
}

// Histogram counts times of handling. It counts samples, not all requests.
type Histogram struct {
	Counts [Buckets]uint64
	Sum    uint64 // nanoseconds
}

// Count is how many samples h has.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}
