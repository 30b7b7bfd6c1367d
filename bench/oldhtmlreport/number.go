package htmlreport

import (
	"math"
	"strconv"
	"strings"
)

// nobreak is a space at which no line is broken.
const nobreak = "\u00a0"

// unit is how a quantity is written.
type unit struct {
	name   string // of the base unit
	base   float64
	binary bool // prefixes are Ki, Mi, Gi
}

var (
	perSecond = unit{name: "/s", base: 1}
	seconds   = unit{name: "s", base: 1e-6} // values are in microseconds
	bytesUnit = unit{name: "B", base: 1, binary: true}
	plain     = unit{base: 1}
)

// prefix is a multiple of a unit.
type prefix struct {
	factor float64 // of the base unit
	text   string
}

var (
	decimalPrefixes = []prefix{{1e-9, "n"}, {1e-6, "µ"}, {1e-3, "m"}, {1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}}
	binaryPrefixes  = []prefix{{1, ""}, {1 << 10, "Ki"}, {1 << 20, "Mi"}, {1 << 30, "Gi"}, {1 << 40, "Ti"}}
)

// prefixFor is the largest prefix that leaves at least 1 of the value. Counts have no prefix below 1.
func (u unit) prefixFor(value float64) prefix {
	v := math.Abs(value) * u.base
	if v == 0 {
		v = u.base
	}
	best := prefix{1, ""}
	all := decimalPrefixes
	if u.binary {
		all = binaryPrefixes
	}
	for i, p := range all {
		if u.name != "s" && p.factor < 1 {
			continue
		}
		if i == 0 || v >= p.factor*(1-1e-9) {
			best = p
		}
	}
	return best
}

// in writes the value in the given prefix, without the unit.
func (u unit) in(value float64, p prefix) string {
	return threeDigits(value * u.base / p.factor)
}

// text writes the value with a prefix of its own and the unit: "4.1 µs", "250 k/s", "64 KiB".
func (u unit) text(value float64) string {
	p := u.prefixFor(value)
	suffix := p.text + u.name
	if suffix == "" {
		return u.in(value, p)
	}
	return u.in(value, p) + nobreak + suffix
}

// threeDigits writes a number with about three significant digits, without zeros at the end.
func threeDigits(v float64) string {
	decimals := 0
	switch a := math.Abs(v); {
	case a == 0 || a >= 99.95:
	case a >= 9.995:
		decimals = 1
	case a >= 0.9995:
		decimals = 2
	default:
		decimals = min(2-int(math.Floor(math.Log10(a))), 12)
	}
	return trimZeros(strconv.FormatFloat(v, 'f', decimals, 64))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// grouped writes a number for a table: whole with its thousands apart, or with the decimals that make about four digits.
func grouped(v float64) string {
	a := math.Abs(v)
	switch {
	case a < 0.00005:
		return "0"
	case a < 1:
		return strconv.FormatFloat(v, 'f', 4, 64)
	case a < 100:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case a < 10_000:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(a, 'f', 0, 64)
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow, no line break
		}
		b.WriteRune(d)
	}
	return b.String()
}

// percent writes a part of 1, with a decimal where it is small.
func percent(part float64) string {
	p := 100 * part
	if math.Abs(p) < 9.95 {
		return trimZeros(strconv.FormatFloat(p, 'f', 1, 64)) + nobreak + "%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + nobreak + "%"
}

// ratioText writes a ratio, to a thousandth where it is not large.
func ratioText(v float64) string {
	if math.IsInf(v, 1) {
		return "∞"
	}
	decimals := 3
	if v >= 2 {
		decimals = 2
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
