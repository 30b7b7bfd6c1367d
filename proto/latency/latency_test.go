package latency

import (
	"math"
	"testing"
)

// TestBuckets: a time is in the bucket whose bounds enclose it, as Prometheus' native histograms define them.
func TestBuckets(t *testing.T) {
	check := func(ns int64) {
		t.Helper()
		i := bucket(ns)
		seconds := float64(ns) / 1e9
		if i > 0 && seconds <= Bound(i-1) {
			t.Errorf("%d ns are in bucket %d, above %.9f s", ns, i, Bound(i-1))
		}
		if i < Buckets-1 && seconds > Bound(i) {
			t.Errorf("%d ns are in bucket %d, up to %.9f s", ns, i, Bound(i))
		}
	}
	for ns := range int64(100_000) {
		check(ns)
	}
	for i := range Buckets {
		for d := int64(-1); d <= 1; d++ {
			check(int64(Bound(i)*1e9) + d)
		}
	}
	for ns := int64(1); ns > 0 && ns < math.MaxInt64/3; ns = ns*3 + 1 {
		check(ns)
	}
	if i := bucket(0); i != 0 {
		t.Errorf("no time at all is in bucket %d", i)
	}
	if i := bucket(math.MaxInt64); i != Buckets-1 {
		t.Errorf("three centuries are in bucket %d", i)
	}
}

// TestBounds: index i of a native histogram of schema s ends at 2^(i/2^s), and eight buckets double the time.
func TestBounds(t *testing.T) {
	for i := range Buckets {
		if want := math.Pow(math.Pow(2, math.Pow(2, -Schema)), float64(First+i)); math.Abs(Bound(i)/want-1) > 1e-9 {
			t.Errorf("bucket %d ends at %g, want %g", i, Bound(i), want)
		}
		if i >= 8 && math.Abs(Bound(i)/Bound(i-8)-2) > 1e-12 {
			t.Errorf("bucket %d ends at %g, eight before at %g", i, Bound(i), Bound(i-8))
		}
	}
	if first, last := Bound(0), Bound(Buckets-1); first > 61e-9 || last < 3.9 {
		t.Errorf("buckets from %g s to %g s", first, last)
	}
}
