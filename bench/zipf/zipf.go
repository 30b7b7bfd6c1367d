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
	s, q         float64 // q is 1-s, and not 0
	atFirst      float64 // integral up to 1.5, less the first rank's weight
	atLast       float64 // integral up to n+0.5
	acceptWithin float64 // a point so near its rank needs no further test
}

// New makes a Zipf that draws numbers from 0 to n-1 with exponent s. It owns src from then on.
func New(src *rand.PCG, n int, s float64) *Zipf {
	z := &Zipf{src: src, n: float64(n), s: s, q: 1 - s}
	if z.q == 0 {
		z.q = 1e-16 // which makes no difference: integral and inverse are precise for however small a q
	}
	z.atFirst = z.integral(1.5) - 1
	z.atLast = z.integral(z.n + 0.5)
	z.acceptWithin = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

// Draw returns the next rank.
func (z *Zipf) Draw() uint32 {
	for {
		u := z.atLast + float64(z.src.Uint64()>>11)/(1<<53)*(z.atFirst-z.atLast)
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.acceptWithin || u >= z.integral(k+0.5)-z.weight(k) {
			return uint32(k) - 1
		}
	}
}

// weight is x^-s, the density that the ranks' probabilities follow.
func (z *Zipf) weight(x float64) float64 { return math.Exp(-z.s * math.Log(x)) }

// integral is an antiderivative of weight: (x^q-1)/q, which tends to log x as q tends to 0.
func (z *Zipf) integral(x float64) float64 { return math.Expm1(z.q*math.Log(x)) / z.q }

// inverse undoes integral. Rounding may lead just below -1, where the logarithm ends.
func (z *Zipf) inverse(y float64) float64 { return math.Exp(math.Log1p(max(y*z.q, -1)) / z.q) }
