package report

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

// trimmedMean is the mean of logarithms without the fifth that is lowest and the fifth that is highest: what a few rounds cost in which the
// machine was busy with something else hardly matters.
type trimmedMean struct {
	mean    float64
	square  float64 // of the standard error
	freedom float64
}

// trimLogs returns the trimmed mean of the logarithms of at least two values above 0. Of fewer than five none is left out.
func trimLogs(values []float64) trimmedMean {
	logs := make([]float64, len(values))
	for i, v := range values {
		logs[i] = math.Log(v)
	}
	slices.Sort(logs)
	out := len(logs) / 5 // at either end
	kept := float64(len(logs) - 2*out)
	m := trimmedMean{freedom: kept - 1}
	for _, x := range logs[out : len(logs)-out] {
		m.mean += x / kept
	}
	// The error follows from the winsorized variance: what was left out is replaced by its nearest that was not.
	for i := range out {
		logs[i], logs[len(logs)-1-i] = logs[out], logs[len(logs)-1-out]
	}
	center, squares := 0.0, 0.0
	for _, x := range logs {
		center += x / float64(len(logs))
	}
	for _, x := range logs {
		squares += (x - center) * (x - center)
	}
	m.square = squares / (kept * (kept - 1))
	return m
}

// welch compares rounds that have nothing to do with each other, by Welch's t on trimmed means (Yuen, "The two-sample trimmed t for unequal
// population variances", Biometrika 61, 1974).
func welch(before, after []float64) difference {
	a, b := trimLogs(before), trimLogs(after)
	square := a.square + b.square
	d := difference{mean: b.mean - a.mean, stderr: math.Sqrt(square), freedom: a.freedom + b.freedom}
	if square > 0 {
		d.freedom = square * square / (a.square*a.square/a.freedom + b.square*b.square/b.freedom)
	}
	return d
}

// paired compares rounds of which the i-th ones were made next to each other, by Student's t on the trimmed mean of their ratios.
func paired(before, after []float64) difference {
	ratios := make([]float64, len(before))
	for i := range before {
		ratios[i] = after[i] / before[i]
	}
	m := trimLogs(ratios)
	return difference{mean: m.mean, stderr: math.Sqrt(m.square), freedom: m.freedom}
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

// studentTails is the probability that Student's t is beyond t or -t, with the given degrees of freedom.
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
