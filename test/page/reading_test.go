package page

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// scales are the units that the page writes behind numbers.
var scales = map[string]float64{
	"": 1, "%": 0.01, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "M": 1e6, "G": 1e9, "ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1,
}

var (
	span   = regexp.MustCompile(`^(\d+) (d|h|min|s)(?: (\d+) (h|min|s))?$`)
	figure = regexp.MustCompile(`^([\d,]+)(\.\d+)? ?(\D*?)(/s)?$`)
	unit   = map[string]float64{"d": 86400, "h": 3600, "min": 60, "s": 1}
)

// means are the least and the largest number that the page would write as text.
func means(text string) (low, high float64, ok bool) {
	if m := span.FindStringSubmatch(text); m != nil {
		n, _ := strconv.ParseFloat(m[1], 64)
		low, last := n*unit[m[2]], unit[m[2]]
		if m[3] != "" {
			n, _ = strconv.ParseFloat(m[3], 64)
			low, last = low+n*unit[m[4]], unit[m[4]]
		}
		return low, low + last, true
	}
	m := figure.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	scale, known := scales[m[3]]
	n, err := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", "")+m[2], 64)
	if !known || err != nil {
		return 0, 0, false
	}
	slack := 0.0
	if scale != 1 || m[2] != "" { // a whole number without a unit is exact
		slack = 0.501 * math.Pow10(-max(len(m[2])-1, 0)) // of the last digit; the page's floating point may be off a little
	}
	return (n - slack) * scale, (n + slack) * scale, true
}

func TestMeans(t *testing.T) {
	for _, c := range []struct {
		text      string
		low, high float64
	}{
		{"2,410", 2410, 2410}, {"18,446,744", 18446744, 18446744}, {"512 B", 512, 512}, {"1.50 KiB", 1530.9, 1541.2}, {"98.10 %", 0.98094, 0.98106},
		{"3 s", 3, 4}, {"2 h 5 min", 7500, 7560}, {"64.0 MiB", 67.05e6, 67.17e6}, {"1.00 µs", 0.994e-6, 1.006e-6}, {"2.00 KiB/s", 2042, 2054}, {"0", 0, 0},
	} {
		low, high, ok := means(c.text)
		if near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-3*math.Max(a, b) }; !ok || !near(low, c.low) || !near(high, c.high) {
			t.Errorf("%s is read as %v to %v, %v", c.text, low, high, ok)
		}
	}
	for _, text := range []string{"", "–", "none", "1 of 2", "1.2.3", "5 lightyears"} {
		if low, high, ok := means(text); ok {
			t.Errorf("%q is read as %v to %v", text, low, high)
		}
	}
}
