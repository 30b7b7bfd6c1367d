package trial

import (
	"cmp"
	"math"
	"slices"
)

// level is that of all intervals: the probability that one holds what it is an interval of. Half of the rest, Beyond95, is on either side.
const level, Beyond95 = 0.95, (1 - level) / 2

// estimate makes an Estimate of values by turn, all above 0, such as ratios: the Hodges-Lehmann mean of their logarithms (the median of the means of
// all pairs of values; "Estimates of Location Based on Rank Tests", Annals of Mathematical Statistics 34, 1963), with the interval that belongs to
// Wilcoxon's signed-rank test. A turn that something disturbed, however much, moves it little. Fewer than six values have no interval of 95 %.
//
// The interval is widened where successive turns resemble each other, as they carry less than as many independent ones would: see dependence.
// beyond is the probability that is left on either side, 0.025 for an interval of 95 %. Where that is less than the ranks of so few values can have,
// the widest interval that they have is stretched as one of a normal distribution.
func estimate(values []float64, beyond float64) Estimate {
	e := Estimate{High: -1, Samples: len(values)}
	if len(values) == 0 {
		return e
	}
	logs := make([]float64, len(values))
	for i, x := range values {
		logs[i] = math.Log(x)
	}
	means := pairMeans(logs)
	middle := median(means)
	e.Value = math.Exp(middle)
	exact := max(beyond, math.Exp2(-float64(len(logs)))) // the least probability that ranks can leave
	if k := signedRankQuantile(len(logs), exact); k >= 0 && (exact == beyond || exact <= Beyond95) {
		wider := dependence(logs) * NormalQuantile(beyond) / NormalQuantile(exact)
		e.Low, e.High = math.Exp(middle-wider*(middle-means[k])), math.Exp(middle+wider*(means[len(means)-1-k]-middle))
	}
	return e
}

// pairMeans are the means of all pairs of values, each with itself too, in order.
func pairMeans(values []float64) []float64 {
	means := make([]float64, 0, len(values)*(len(values)+1)/2)
	for i, a := range values {
		for _, b := range values[i:] {
			means = append(means, (a+b)/2)
		}
	}
	slices.Sort(means)
	return means
}

// dependence is by how much an interval of successive values has to be wider than one of independent values: the root of the sum of their
// correlations at all distances, weighted as Newey and West do (Econometrica 55, 1987), if that is above 1. It goes by the ranks, so that single
// values that stand out do not hide it, and adds what a correlation is underestimated by in a short series.
func dependence(values []float64) float64 {
	n := len(values)
	if n < 12 {
		return 1
	}
	ranks := ranksOf(values)
	far := int(2 * math.Cbrt(float64(n)))
	sum := 1.0
	for distance := 1; distance <= far; distance++ {
		var same, all float64
		for i, v := range ranks {
			all += v * v
			if i >= distance {
				same += v * ranks[i-distance]
			}
		}
		if all > 0 {
			sum += 2 * (1 - float64(distance)/float64(far+1)) * (same/all + 1/float64(n))
		}
	}
	return math.Sqrt(max(sum, 1))
}

// ranksOf replaces each value by its place among them, counted from the middle.
func ranksOf(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	ranks := make([]float64, len(values))
	for place, i := range order {
		ranks[i] = float64(place) - float64(len(values)-1)/2
	}
	return ranks
}

// HalfWidth is how far the interval reaches to either side on a logarithmic scale, as a part of the value; infinite without an interval.
func (e *Estimate) HalfWidth() float64 {
	if !e.Known() || e.Low <= 0 {
		return math.Inf(1)
	}
	return math.Sqrt(e.High/e.Low) - 1
}

// median of values that are in order, NaN of none.
func median(sorted []float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	m := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[m]
	}
	return (sorted[m-1] + sorted[m]) / 2
}

// signedRankQuantile returns the largest k for which the signed-rank statistic of n values is at most k with a probability of at most beyond when the
// values lie symmetrically about 0. It is -1 where there is none.
func signedRankQuantile(n int, beyond float64) int {
	if n > 50 {
		m := float64(n)
		return int(m*(m+1)/4-NormalQuantile(beyond)*math.Sqrt(m*(m+1)*(2*m+1)/24)) - 1
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
	for sum <= beyond*math.Exp2(float64(n)) {
		k++
		sum += ways[k+1]
	}
	return k
}

// NormalQuantile is what a normal variable exceeds with the probability beyond.
func NormalQuantile(beyond float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*beyond) }
