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

func TestQuantile(t *testing.T) {
	var s Sampler
	for ns := int64(1000); ns <= 1_000_000; ns += 1000 {
		s.Count(Get, ns)
	}
	h := &s.counts[Get]
	if h.Count() != 1000 || h.Sum != 1000*1001/2*1000 {
		t.Errorf("%d samples, %d ns", h.Count(), h.Sum)
	}
	for _, q := range []float64{0.001, 0.01, 0.5, 0.9, 0.99, 1} {
		if got, exact := h.Quantile(q), q*1e-3; got < exact*(1-1e-9) || got > exact*1.0906 {
			t.Errorf("quantile %g is %g s, want %g or at most 9 %% more", q, got, exact)
		}
	}
	if got := h.Quantile(0); got < 1e-6 || got > 1.0906e-6 {
		t.Errorf("the shortest is %g s", got)
	}
	if got := new(Histogram).Quantile(0.5); !math.IsNaN(got) {
		t.Errorf("without samples it is %g", got)
	}
}
