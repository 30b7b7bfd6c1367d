// Package zipf draws numbers by Zipf's law, which is how popular the keys are that a cache is asked for: the k-th most popular one is asked for
// proportionally to 1/k^s.
package zipf

import (
	"math"
	"math/rand/v2"
)

// Zipf draws rank k (from 0) with a probability proportional to 1/(k+1)^s, for any s > 0, by the rejection-inversion of Hörmann and Derflinger
// (1996): constant memory and about 1.1 draws each, whatever n is. math/rand's Zipf needs s > 1, while caches see 0.6 to 1.
type Zipf struct {
	src          *rand.PCG
	n            float64
	s            float64
	atFirst      float64 // integral up to 1.5, less the first rank's weight
	atLast       float64 // integral up to n+0.5
	acceptWithin float64 // a point so near its rank needs no further test
}

// New makes a Zipf that draws numbers from 0 to n-1 with exponent s. It owns src from then on.
func New(src *rand.PCG, n int, s float64) *Zipf {
	z := &Zipf{src: src, n: float64(n), s: s}
	z.atFirst = z.integral(1.5) - 1
	z.atLast = z.integral(z.n + 0.5)
	z.acceptWithin = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

// Draw returns the next rank.
func (z *Zipf) Draw() uint32 {
	for {
		u := z.atLast + z.float()*(z.atFirst-z.atLast)
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.acceptWithin || u >= z.integral(k+0.5)-z.weight(k) {
			return uint32(k) - 1
		}
	}
}

func (z *Zipf) float() float64 { return float64(z.src.Uint64()>>11) / (1 << 53) }

// weight is x^-s, the density that the ranks' probabilities follow.
func (z *Zipf) weight(x float64) float64 { return math.Exp(-z.s * math.Log(x)) }

// integral is an antiderivative of weight: (x^(1-s)-1)/(1-s), which tends to log x as s tends to 1.
func (z *Zipf) integral(x float64) float64 {
	l := math.Log(x)
	return expm1Over((1-z.s)*l) * l
}

// inverse undoes integral.
func (z *Zipf) inverse(y float64) float64 {
	t := max(y*(1-z.s), -1) // rounding may lead just below -1, where the logarithm ends
	return math.Exp(log1pOver(t) * y)
}

// expm1Over is (e^x - 1)/x, continuous at 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2
}

// log1pOver is log(1+x)/x, continuous at 0.
func log1pOver(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x/2
}
