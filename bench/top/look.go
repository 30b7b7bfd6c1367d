package top

import (
	"cmp"
	"math"
	"os"
	"strings"
)

// look is what a terminal can show.
type look struct {
	styles bool // bold, faint, reversed
	colors bool
	blocks bool // Unicode's block characters
}

// plain is for files and pipes.
var plain look

// lookOf goes by the environment: NO_COLOR, the locale, and a console whose font has few characters.
func lookOf(getenv func(string) string) look {
	locale := strings.ToUpper(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return look{
		styles: true, colors: getenv("NO_COLOR") == "",
		blocks: getenv("TERM") != "linux" && (strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")),
	}
}

// dumb reports that a terminal cannot be drawn on.
func dumb() bool { term := os.Getenv("TERM"); return term == "" || term == "dumb" }

// tone is what a piece of text is.
type tone int

const (
	ordinary tone = iota
	heading
	aside
	chosen
	gauge
	attention
	trouble
)

// sgr are the attributes of each tone: style, and color. The 16 colors are the user's own, on light and on dark.
var sgr = [...]struct{ style, color string }{
	ordinary: {}, heading: {"1", ""}, aside: {"2", ""}, chosen: {"7", ""}, gauge: {"", "36"}, attention: {"1", "33"}, trouble: {"1", "31"},
}

// paint gives a text a tone. It stays as wide as it is.
func (l look) paint(t tone, text string) string {
	var codes []string
	if l.styles && sgr[t].style != "" {
		codes = append(codes, sgr[t].style)
	}
	if l.colors && sgr[t].color != "" {
		codes = append(codes, sgr[t].color)
	}
	if len(codes) == 0 || text == "" {
		return text
	}
	return "\x1b[" + strings.Join(codes, ";") + "m" + text + "\x1b[m"
}

// separator stands between facts of a line.
func (l look) separator() string {
	if l.blocks {
		return " · "
	}
	return " | "
}

// bar is a part of 1 as a bar of a width.
func (l look) bar(part float64, width int) string {
	full, rest := "#", "."
	if l.blocks {
		full, rest = "█", "░"
	}
	n := 0
	if part > 0 { // is a number
		n = min(max(int(math.Round(part*float64(width))), 1), width)
	}
	return l.paint(gauge, strings.Repeat(full, n)) + l.paint(aside, strings.Repeat(rest, width-n))
}

// steps are how full a character of a graph is.
func (l look) steps() []string {
	if l.blocks {
		return []string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
	}
	return []string{" ", ".", ":", "|"}
}

// graph draws values over time, the newest last and on the right, in lines of a width; the largest reaches the top.
func (l look) graph(values []float64, width, height int) (lines []string) {
	values = values[max(len(values)-width, 0):]
	top := highest(values)
	steps := l.steps()
	for line := range height {
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", width-len(values)))
		for _, v := range values {
			level := 0
			if v > 0 && top > 0 { // the least that happened can be seen
				level = max(int(math.Round(v/top*float64(height*(len(steps)-1)))), 1)
			}
			b.WriteString(steps[min(max(level-(height-1-line)*(len(steps)-1), 0), len(steps)-1)])
		}
		lines = append(lines, l.paint(gauge, b.String()))
	}
	return lines
}

// highest is the largest of several numbers, 0 if there is none.
func highest(values []float64) (top float64) {
	for _, v := range values {
		if v > top { // no NaN is
			top = v
		}
	}
	return top
}
