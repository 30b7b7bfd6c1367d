package bench

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
	counts := func(r *Round) bool { return !r.Failed() && quantity(r) > 0 }
	var ratios []float64
	for i := range a {
		if !counts(&a[i]) {
			continue
		}
		for j := range b {
			if b[j].Number == a[i].Number && counts(&b[j]) {
				ratios = append(ratios, quantity(&a[i])/quantity(&b[j]))
			}
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	r := newRatio(of, over, ratios)
	return &r
}
