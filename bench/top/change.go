package top

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Change is what happened at a server from one reading to the next.
type Change struct {
	from *Reading // nil: nothing is known of the time before, so no rate is
	to   *Reading // nil: there is no reading
}

// since is the change from an earlier reading, which may be nil, or of a process that has ended since.
func since(from, to *Reading) Change {
	if from == nil || to == nil || !to.At.After(from.At) || to.text(general, "pid") != from.text(general, "pid") ||
		to.number(general, "uptime") < from.number(general, "uptime") {
		from = nil
	}
	return Change{from, to}
}

// seconds is the time between the readings.
func (c Change) seconds() float64 {
	if c.from == nil {
		return math.NaN()
	}
	return c.to.At.Sub(c.from.At).Seconds()
}

// grown is by how much a counter has. One that is smaller than before was set to 0 in between, by `stats reset`: what it has counted since is the least
// that happened. One that was not there before, as those of a new slab class, was 0.
func (c Change) grown(g group, name string) float64 {
	now := c.to.number(g, name)
	if c.from == nil || math.IsNaN(now) {
		return math.NaN()
	}
	before := c.from.number(g, name)
	switch {
	case math.IsNaN(before):
		if !c.from.offers(g) {
			return math.NaN()
		}
		return now
	case now < before:
		return now
	}
	return now - before
}

// growth is that of several counters together.
func (c Change) growth(g group, names ...string) float64 {
	sum := math.NaN()
	for _, name := range names {
		sum = plus(sum, c.grown(g, name))
	}
	return sum
}

// rate is by how much several counters grew together, per second.
func (c Change) rate(g group, names ...string) float64 {
	return ratio(c.growth(g, names...), c.seconds())
}

// requestCounters count each request once, but for gat, which is a get and a touch: a cas is a set, and a meta command is what it does.
var requestCounters = []string{
	"cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses", "incr_hits", "incr_misses", "decr_hits", "decr_misses", "cmd_flush",
}

// requests are those per second.
func (c Change) requests() float64 { return c.rate(general, requestCounters...) }

// hitRatio is that of the time between the readings, and of all time.
func (c Change) hitRatio() (now, always float64) {
	hits, misses := c.growth(general, "get_hits"), c.growth(general, "get_misses")
	now = ratio(hits, hits+misses)
	hits, misses = c.to.number(general, "get_hits"), c.to.number(general, "get_misses")
	return now, ratio(hits, hits+misses)
}

// cores is how much CPU time the server took per second.
func (c Change) cores() float64 { return c.rate(general, "rusage_user", "rusage_system") }

// step is a row of a histogram: what there was up to a bound.
type step struct {
	bound string
	part  float64 // of 1
}

// histogram is one of ringcached's, of the time between the readings, or of all time if that is not known.
func (c Change) histogram(prefix string) (steps []step) {
	if !c.to.offers(batch) {
		return nil
	}
	type bucket struct{ bound, count float64 }
	var buckets []bucket
	all := 0.0
	for name := range c.to.groups[batch] {
		rest, ours := strings.CutPrefix(name, prefix)
		bound, err := strconv.ParseFloat(rest, 64)
		if rest == "more" {
			bound, err = math.MaxFloat64, nil
		}
		count := c.to.number(batch, name)
		if c.from != nil {
			count = c.grown(batch, name)
		}
		if ours && err == nil && bound >= 0 && count > 0 && len(buckets) < classMost {
			buckets, all = append(buckets, bucket{bound, count}), all+count
		}
	}
	slices.SortFunc(buckets, func(a, b bucket) int {
		if a.bound < b.bound {
			return -1
		}
		return 1
	})
	for _, b := range buckets {
		bound := "more"
		if b.bound < math.MaxFloat64 {
			bound = "up to " + count(b.bound)
		}
		steps = append(steps, step{bound, b.count / all})
	}
	return steps
}
