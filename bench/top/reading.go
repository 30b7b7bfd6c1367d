package top

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reading is what a server said at a moment.
type Reading struct {
	At      time.Time     // half-way between the question for the general statistics and their end
	Took    time.Duration // all questions and answers
	Version string        // as the answer to version states it
	groups  [groupEnd]map[string]string
}

// offers reports whether the server has a group of statistics.
func (r *Reading) offers(g group) bool { return r != nil && r.groups[g] != nil }

// text is a line's value, "" if there is no such line.
func (r *Reading) text(g group, name string) string {
	if r == nil {
		return ""
	}
	return r.groups[g][name]
}

// number is a line's value, NaN if there is none that is a number of 0 or more, and none that no counter of 64 bits can have.
func (r *Reading) number(g group, name string) float64 {
	v, err := strconv.ParseFloat(r.text(g, name), 64)
	if err != nil || !(v >= 0 && v <= math.MaxUint64) {
		return math.NaN()
	}
	return v
}

// sum adds what is there of several lines, NaN if nothing is.
func (r *Reading) sum(g group, names ...string) float64 {
	sum := math.NaN()
	for _, name := range names {
		sum = plus(sum, r.number(g, name))
	}
	return sum
}

// plus adds two numbers. One that is not known counts nothing, if the other is.
func plus(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	}
	return a + b
}

// ringcached reports whether the server is one, not memcached or something else that speaks its protocol.
func (r *Reading) ringcached() bool { return r.text(general, "ringcached_version") != "" }

// classMost is how many slab classes, hot keys and rows of a histogram are taken from a reply.
const classMost = 256

// classes are the numbers of the slab classes that have pages, ascending.
func (r *Reading) classes() (all []int) {
	if !r.offers(slabs) {
		return nil
	}
	for name := range r.groups[slabs] {
		digits, isClass := strings.CutSuffix(name, ":chunk_size")
		if n, err := strconv.Atoi(digits); isClass && err == nil && n >= 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all[:min(len(all), classMost)]
}

// ofClass are the names of lines of a slab class in slabs, or in items.
func ofClass(g group, class int, name string) string {
	if g == items {
		return "items:" + strconv.Itoa(class) + ":" + name
	}
	return strconv.Itoa(class) + ":" + name
}

// hotKey is one that the server says is used often.
type hotKey struct {
	name      string // clean
	share     float64
	slack     float64 // by how much the share may be too high
	perSecond float64
}

// hotKeysOf are the server's, the hottest first, and whether the server looks for them.
func (r *Reading) hotKeysOf() (keys []hotKey, enabled bool) {
	if !r.offers(hotKeys) || r.text(hotKeys, "hotkeys_status") == "disabled" {
		return nil, false
	}
	uses, seconds := r.number(hotKeys, "hotkeys_uses"), r.number(hotKeys, "hotkeys_seconds")
	for i := 1; i <= classMost; i++ {
		prefix := "hotkeys:" + strconv.Itoa(i) + ":"
		name := r.text(hotKeys, prefix+"key")
		if name == "" {
			break
		}
		count := r.number(hotKeys, prefix+"count")
		keys = append(keys, hotKey{
			name: readable(name), share: ratio(count, uses), slack: ratio(r.number(hotKeys, prefix+"error"), uses), perSecond: ratio(count, seconds),
		})
	}
	return keys, true
}

// ratio is a/b, NaN if that is nothing.
func ratio(a, b float64) float64 {
	if !(b > 0) {
		return math.NaN()
	}
	return a / b
}
