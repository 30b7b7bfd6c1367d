package oldtrial

import (
	"iter"
	"math"
	"slices"
)

// Median returns the middle value, or NaN of none.
func Median(values []float64) float64 {
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
	// Mean is the rounds' middle on a logarithmic scale, and Low..High its 95 % confidence interval, see interval. With a single round there
	// is no interval: Low is 0 and High is -1.
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
	logs := make([]float64, len(rounds))
	for i, x := range rounds {
		logs[i] = math.Log(x)
	}
	middle, low, high := interval(logs)
	r.Mean = math.Exp(middle)
	if len(rounds) > 1 {
		r.Low, r.High = math.Exp(low), math.Exp(high)
	}
	return r
}

// rankedRounds is from how many rounds on ranks give a 95 % interval.
const rankedRounds = 6

// interval returns the middle of at least one value and its 95 % confidence interval, which is only the middle itself for a single one. Of
// few values it is their mean, with Student's t. Of rankedRounds or more it is their pseudomedian (Hodges and Lehmann, "Estimates of Location
// Based on Rank Tests", Annals of Mathematical Statistics 34, 1963), with the interval that belongs to Wilcoxon's signed-rank test. A round
// in which the host was busy with something else, however slow it was, moves the middle little; from 12 rounds on it does not spoil the
// interval either, and from 17 on two of them do not.
func interval(values []float64) (middle, low, high float64) {
	if len(values) >= rankedRounds {
		return pseudomedian(values)
	}
	n := float64(len(values))
	var sum, squares float64
	for _, v := range values {
		sum += v
	}
	middle = sum / n
	if len(values) == 1 {
		return middle, middle, middle
	}
	for _, v := range values {
		squares += (v - middle) * (v - middle)
	}
	half := tQuantile(len(values)-1) * math.Sqrt(squares/(n-1)/n)
	return middle, middle - half, middle + half
}

// pseudomedian returns the median of the means of all pairs of values, each with itself too, and its 95 % confidence interval.
func pseudomedian(values []float64) (middle, low, high float64) {
	var means []float64
	for i, a := range values {
		for _, b := range values[i:] {
			means = append(means, (a+b)/2)
		}
	}
	slices.Sort(means)
	k := signedRankQuantile(len(values))
	return Median(means), means[k], means[len(means)-1-k]
}

// medianInterval returns a 95 % confidence interval of the median of rankedRounds or more values, by the binomial distribution of how many
// of them lie below it. The median of the values is always in it.
func medianInterval(values []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	k, term := 0, math.Exp2(-float64(n)) // of the n values k or fewer lie below with the probability sum
	for sum := term; ; k++ {
		term *= float64(n-k) / float64(k+1)
		if sum += term; sum > 0.025 {
			return sorted[k], sorted[n-1-k]
		}
	}
}

// signedRankQuantile returns the largest k for which the signed-rank statistic of n values is at most k with a probability of at most 2.5 %
// when the values lie symmetrically about 0. It is -1 for fewer than rankedRounds.
func signedRankQuantile(n int) int {
	if n > 50 {
		m := float64(n)
		return int(m*(m+1)/4-1.959964*math.Sqrt(m*(m+1)*(2*m+1)/24)) - 1
	}
	// ways[s] is in how many of the 2^n equally probable ways ranks from 1 to n sum up to s.
	ways := make([]float64, n*(n+1)/2+1)
	ways[0] = 1
	for rank := 1; rank <= n; rank++ {
		for s := len(ways) - 1; s >= rank; s-- {
			ways[s] += ways[s-rank]
		}
	}
	k, sum := -1, ways[0]
	for sum <= 0.025*math.Exp2(float64(n)) {
		k++
		sum += ways[k+1]
	}
	return k
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

// CompareRounds compares a quantity of two servers: the first one's over the second one's, in each round in which the trials of both are valid.
// Trials that failed, that the load limited, or in which the quantity is unknown (0) do not count. Nil: there is no such round.
func CompareRounds(of, over string, a, b []Round, quantity func(*Round) float64) *Ratio {
	return compareAllRounds(of, over, a, b, func(r *Round) float64 {
		if r.Saturated() {
			return 0
		}
		return quantity(r)
	})
}

// compareAllRounds compares as CompareRounds does, but counts the trials that the load limited too.
func compareAllRounds(of, over string, a, b []Round, quantity func(*Round) float64) *Ratio {
	var ratios []float64
	for x, y := range Together(a, b) {
		if quantity(x) > 0 && quantity(y) > 0 {
			ratios = append(ratios, quantity(x)/quantity(y))
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	r := newRatio(of, over, ratios)
	return &r
}

// Together are the trials of two servers in the same round, in the order of the first one's, where neither failed.
func Together(a, b []Round) iter.Seq2[*Round, *Round] {
	return func(yield func(*Round, *Round) bool) {
		for i := range a {
			for j := range b {
				x, y := &a[i], &b[j]
				if x.Number == y.Number && !x.Failed() && !y.Failed() && !yield(x, y) {
					return
				}
			}
		}
	}
}
