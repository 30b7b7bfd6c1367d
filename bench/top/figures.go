package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unknown is written where there is no figure.
const unknown = "-"

// clean makes a text from elsewhere harmless for a terminal: printable ASCII stays, other bytes are written as keys of dumps are, %1B.
func clean(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// readable is a key of `stats hotkeys`, clean, with those bytes as they are that are escaped there though a terminal can show them.
func readable(key string) string {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] == '%' && i+2 < len(key) {
			if c, err := strconv.ParseUint(key[i+1:i+3], 16, 8); err == nil && c > ' ' && c <= '~' && c != '%' {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(key[i])
	}
	return clean(b.String())
}

// cut makes a text at most width characters long.
func cut(text string, width int) string {
	all := []rune(text)
	switch {
	case len(all) <= width:
		return text
	case width < 4:
		return string(all[:max(width, 0)])
	}
	return string(all[:width-3]) + "..."
}

// scaled has three digits and a unit. Below the first unit a number is as it is.
func scaled(v, base float64, units ...string) string {
	unit := 0
	for ; v >= base-0.5 && unit < len(units)-1; unit++ {
		v /= base
	}
	decimals := 0
	switch {
	case unit == 0 || v >= 99.95:
	case v >= 9.995:
		decimals = 1
	default:
		decimals = 2
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", decimals, v, units[unit]))
}

// count is a number of things: 7, 9999, 12.3 k.
func count(v float64) string {
	if math.IsNaN(v) {
		return unknown
	}
	if v < 9999.5 {
		return fmt.Sprintf("%.0f", v)
	}
	return scaled(v, 1000, "", "k", "M", "G", "T", "P", "E")
}

// perSecond is a rate: 0, 0.3, 120, 12.3 k.
func perSecond(v float64) string {
	if v > 0 && v < 9.95 {
		return fmt.Sprintf("%.1f", v)
	}
	return count(v)
}

// size is a number of bytes: 512 B, 64.0 MiB.
func size(v float64) string {
	if math.IsNaN(v) {
		return unknown
	}
	return scaled(v, 1024, "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
}

// percent is a part of 1.
func percent(v float64) string {
	if math.IsNaN(v) {
		return unknown
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

// average is a mean with a decimal: 1.4.
func average(v float64) string {
	if math.IsNaN(v) || v >= 999.95 {
		return count(v)
	}
	return fmt.Sprintf("%.1f", v)
}

// outOf is a value and what it is part of: 45 of 1024.
func outOf(v, all string) string {
	if all == unknown {
		return v
	}
	return v + " of " + all
}

// span is a time in two units: 3 d 4 h, 45 s.
func span(seconds float64) string {
	if math.IsNaN(seconds) || seconds > 1e11 {
		return unknown
	}
	n := int(seconds)
	switch {
	case n >= 86400:
		return fmt.Sprintf("%d d %d h", n/86400, n%86400/3600)
	case n >= 3600:
		return fmt.Sprintf("%d h %d min", n/3600, n%3600/60)
	case n >= 60:
		return fmt.Sprintf("%d min %d s", n/60, n%60)
	}
	return fmt.Sprintf("%d s", n)
}

// brief is a short time: 0.4 ms, 2.1 s.
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
