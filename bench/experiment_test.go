package bench

import "testing"

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Estimate
	}{
		{nil, Estimate{High: -1}},
		{[]float64{3}, Estimate{Median: 3, High: -1, Rounds: 1}},
		{[]float64{2, 2, 2}, Estimate{Median: 2, Low: 2, High: 2, Rounds: 3}},
		{[]float64{1, 2, 3, 4, 5, 6}, Estimate{Median: 3.5, Low: 1, High: 6, Rounds: 6}},
	} {
		if got := newEstimate(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
	}
}
