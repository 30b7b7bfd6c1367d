package bench

import "iter"

// CompareRounds compares a quantity of two servers: the first one's over the second one's, in each round in which the turns of both are worth
// something. Turns that failed, that the load limited, or in which the quantity is unknown (0) do not count. Nil: there is no such round.
func CompareRounds(of, over string, a, b []Round, quantity func(*Round) float64) *Ratio {
	return compareAllRounds(of, over, a, b, func(r *Round) float64 {
		if r.Saturated() {
			return 0
		}
		return quantity(r)
	})
}

// compareAllRounds compares as CompareRounds does, but counts the turns that the load limited too.
func compareAllRounds(of, over string, a, b []Round, quantity func(*Round) float64) *Ratio {
	var ratios []float64
	for x, y := range together(a, b) {
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

// together are the turns of two servers in the same round, in the order of the first one's, where neither failed.
func together(a, b []Round) iter.Seq2[*Round, *Round] {
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
