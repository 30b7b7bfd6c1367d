package bench

import (
	"math"
	"slices"
)

// median returns the middle value, or NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

// Ratio compares two servers over rounds. Each round gives one ratio, of two measurements that were made next to each other, so that what disturbs a
// whole round leaves it alone.
type Ratio struct {
	Of   string `json:"of"`   // the server in the numerator
	Over string `json:"over"` // and the one in the denominator
	// Mean is the geometric mean of the rounds' ratios, and Low..High its 95 % confidence interval, by Student's t on their logarithms. With a
	// single round there is no interval: Low is 0 and High is -1.
	Mean   float64   `json:"mean"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"`
}

// newRatio makes a Ratio of the rounds' ratios, all of which must be above 0.
func newRatio(of, over string, rounds []float64) Ratio {
	r := Ratio{Of: of, Over: over, Rounds: rounds, High: -1}
	if len(rounds) == 0 {
		return r
	}
	r.Min, r.Max = slices.Min(rounds), slices.Max(rounds)
	n := float64(len(rounds))
	var sum, squares float64
	for _, x := range rounds {
		sum += math.Log(x)
	}
	mean := sum / n
	for _, x := range rounds {
		d := math.Log(x) - mean
		squares += d * d
	}
	r.Mean = math.Exp(mean)
	if len(rounds) > 1 {
		half := tQuantile(len(rounds)-1) * math.Sqrt(squares/(n-1)/n)
		r.Low, r.High = math.Exp(mean-half), math.Exp(mean+half)
	}
	return r
}

// Certain reports that the interval excludes 1: the difference is more than noise.
func (r *Ratio) Certain() bool { return r.High >= r.Low && (r.Low > 1 || r.High < 1) }

// tQuantile returns the 97.5 % quantile of Student's t for the given degrees of freedom, at least 1.
func tQuantile(freedom int) float64 {
	table := [...]float64{
		12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
		2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
		2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
	}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	// Cornish and Fisher's expansion around the normal quantile, within 0.001 from here on.
	const z = 1.959964
	v := float64(freedom)
	return z + (z*z*z+z)/(4*v) + (5*z*z*z*z*z+16*z*z*z+3*z)/(96*v*v)
}
