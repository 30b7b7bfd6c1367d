package oldtrial

import (
	"math"
	"testing"
)

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(c.in); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.in, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestTQuantile(t *testing.T) {
	for freedom, want := range map[int]float64{1: 12.706, 2: 4.303, 10: 2.228, 30: 2.042, 31: 2.0395, 40: 2.0211, 60: 2.0003, 120: 1.9799, 1000: 1.9623} {
		if got := tQuantile(freedom); !near(got, want, 0.001) {
			t.Errorf("%d degrees of freedom: %.4f, want %.4f", freedom, got, want)
		}
	}
}

// TestSignedRankQuantile compares with the critical values in tables of Wilcoxon's test, two-sided at 5 %.
func TestSignedRankQuantile(t *testing.T) {
	for n, want := range map[int]int{5: -1, 6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 15: 25, 20: 52, 25: 89, 30: 137, 50: 434} {
		if got := signedRankQuantile(n); got != want {
			t.Errorf("%d values: %d, want %d", n, got, want)
		}
	}
	if exact, near := signedRankQuantile(50), signedRankQuantile(51); near < exact || near > exact+25 {
		t.Errorf("50 values: %d, 51: %d", exact, near)
	}
}

// TestPseudomedian: rounds that were disturbed beyond measure do not move the middle much.
func TestPseudomedian(t *testing.T) {
	calm := []float64{0.98, 0.99, 1, 1.01, 1.02, 0.97, 1.03, 1.005, 0.995, 1, 0.985, 1.015, 0.99, 1.01}
	middle, low, high := pseudomedian(calm)
	if !near(middle, 1, 0.003) || low < 0.97 || high > 1.03 || low >= middle || high <= middle {
		t.Errorf("%g (%g..%g)", middle, low, high)
	}
	for n := 12; n <= len(calm); n++ {
		disturbed := append(calm[:n-1:n-1], 18)
		if middle, low, high := pseudomedian(disturbed); !near(middle, 1, 0.02) || low < 0.97 || high > 1.1 {
			t.Errorf("%d with one outlier: %g (%g..%g)", n, middle, low, high)
		}
	}
	disturbed := append(calm[:10:10], 18)
	if middle, low, high := pseudomedian(disturbed); !near(middle, 1, 0.02) || low < 0.97 || high < 2 {
		t.Errorf("11 with one outlier, which are too few to tell it from a real one: %g (%g..%g)", middle, low, high)
	}
	// By hand, six values: the interval goes from the least to the largest.
	if middle, low, high := pseudomedian([]float64{1, 2, 3, 4, 5, 6}); middle != 3.5 || low != 1 || high != 6 {
		t.Errorf("1 to 6: %g (%g..%g)", middle, low, high)
	}
}

func TestRatio(t *testing.T) {
	r := newRatio("a", "b", []float64{0.8, 0.8, 0.8})
	if !near(r.Mean, 0.8, 1e-9) || !near(r.Low, 0.8, 1e-9) || !near(r.High, 0.8, 1e-9) || !r.Certain() {
		t.Errorf("equal rounds: %+v", r)
	}
	// By hand: logarithms -0.2231, -0.1054, 0; mean -0.1095, deviation 0.1116, half width 4.303*0.1116/sqrt 3 = 0.2773.
	r = newRatio("a", "b", []float64{0.8, 0.9, 1.0})
	if !near(r.Mean, 0.8963, 1e-3) || !near(r.Low, 0.6792, 2e-3) || !near(r.High, 1.1827, 2e-3) || r.Min != 0.8 || r.Max != 1.0 {
		t.Errorf("three rounds: %+v", r)
	}
	if r.Certain() || r.Verdict() != "within noise" {
		t.Errorf("an interval around 1: certain %v, %q", r.Certain(), r.Verdict())
	}
	// The inverse ratio has the inverse interval.
	i := newRatio("b", "a", []float64{1 / 0.8, 1 / 0.9, 1})
	if !near(i.Mean, 1/r.Mean, 1e-9) || !near(i.Low, 1/r.High, 1e-9) || !near(i.High, 1/r.Low, 1e-9) {
		t.Errorf("inverse: %+v of %+v", i, r)
	}
	for _, c := range []struct {
		rounds []float64
		says   string
	}{
		{[]float64{0.5}, "one round only: no statement"},
		{[]float64{0.5, 0.51, 0.49}, "50 % less CPU"},
		{[]float64{1.25, 1.26, 1.24}, "25 % more CPU"},
	} {
		r := newRatio("a", "b", c.rounds)
		if r.Verdict() != c.says {
			t.Errorf("%v: %q, want %q", c.rounds, r.Verdict(), c.says)
		}
	}
}

// TestMedianInterval compares with tables of the sign test, and looks for the median itself.
func TestMedianInterval(t *testing.T) {
	for n, from := range map[int]float64{6: 1, 8: 1, 9: 2, 12: 3, 17: 5, 20: 6, 30: 10} {
		var values []float64
		for i := range n {
			values = append(values, float64(n-i)) // n to 1
		}
		if low, high := medianInterval(values); low != from || high != float64(n+1)-from {
			t.Errorf("%d values: %g..%g, want from %g", n, low, high, from)
		}
	}
	skewed := append(make([]float64, 16), 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10)
	if low, high := medianInterval(skewed); low != 0 || high != 10 {
		t.Errorf("%g..%g does not hold the median 0, or not more", low, high)
	}
}
