package bench

import (
	"math"
	"slices"
)

// difference is an estimate of the mean of log(new/old).
type difference struct {
	mean    float64
	stderr  float64 // 0: the rounds do not differ at all
	freedom float64 // degrees of freedom
}

// meanLog returns mean and variance of the logarithms, of at least two values above 0.
func meanLog(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += math.Log(v) / float64(len(values))
	}
	for _, v := range values {
		d := math.Log(v) - mean
		variance += d * d / float64(len(values)-1)
	}
	return mean, variance
}

// welch compares rounds that have nothing to do with each other (Welch, "The generalization of 'Student's' problem when several different
// population variances are involved", Biometrika 1947).
func welch(before, after []float64) difference {
	m, v := meanLog(before)
	n, w := meanLog(after)
	v /= float64(len(before))
	w /= float64(len(after))
	d := difference{mean: n - m, stderr: math.Sqrt(v + w), freedom: float64(len(before) + len(after) - 2)}
	if v+w > 0 {
		d.freedom = (v + w) * (v + w) / (v*v/float64(len(before)-1) + w*w/float64(len(after)-1))
	}
	return d
}

// paired compares rounds of which the i-th ones were made next to each other.
func paired(before, after []float64) difference {
	ratios := make([]float64, len(before))
	for i := range before {
		ratios[i] = after[i] / before[i]
	}
	m, v := meanLog(ratios)
	return difference{mean: m, stderr: math.Sqrt(v / float64(len(ratios))), freedom: float64(len(ratios) - 1)}
}

// rounding is what a difference of logarithms may be without being one.
const rounding = 1e-12

// p is the probability that rounds differ by so much or more where there is no difference.
func (d difference) p() float64 {
	switch {
	case math.Abs(d.mean) < rounding:
		return 1
	case d.stderr < rounding:
		return 0
	}
	return studentTails(math.Abs(d.mean)/d.stderr, d.freedom)
}

// interval is the 95 % confidence interval of new/old.
func (d difference) interval() (low, high float64) {
	least, most := 0.0, 1e6
	for range 100 {
		if t := (least + most) / 2; studentTails(t, d.freedom) > 0.05 {
			least = t
		} else {
			most = t
		}
	}
	return math.Exp(d.mean - most*d.stderr), math.Exp(d.mean + most*d.stderr)
}

// studentTails is the probability that Student's t is beyond t or -t, with so many degrees of freedom.
func studentTails(t, freedom float64) float64 {
	return incompleteBeta(freedom/2, 0.5, freedom/(freedom+t*t))
}

// incompleteBeta is the regularized incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun, 26.5.8).
func incompleteBeta(a, b, x float64) float64 {
	if x <= 0 || x >= 1 {
		return min(max(x, 0), 1)
	}
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(b, a, 1-x) // where the fraction converges faster
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	// The fraction is evaluated from its end. It needs some tens of terms for what occurs here.
	const terms = 400
	f := 1.0
	for m := terms; m >= 1; m-- {
		k := float64(m / 2)
		var d float64
		if m%2 == 0 {
			d = k * (b - k) * x / ((a + 2*k - 1) * (a + 2*k))
		} else {
			d = -(a + k) * (a + b + k) * x / ((a + 2*k) * (a + 2*k + 1))
		}
		f = 1 + d/f
	}
	return front / f
}

// holm corrects the p-values of many comparisons, so that the probability of one false alarm or more among all of them is no greater than the
// level that they are compared with (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979).
func holm(p []float64) (corrected []float64) {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return a - b
	})
	corrected = make([]float64, len(p))
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(p)-rank)))
		corrected[i] = least
	}
	return corrected
}
