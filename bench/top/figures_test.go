package top

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	none := math.NaN()
	for i, c := range []struct{ got, want string }{
		{count(none), "-"}, {count(0), "0"}, {count(9999), "9999"}, {count(9999.6), "10.0 k"}, {count(12345), "12.3 k"}, {count(999_960), "1.00 M"},
		{count(123_456_789), "123 M"}, {count(1.8e19), "18.0 E"}, {count(1e30), "1000000000000 E"},
		{perSecond(none), "-"}, {perSecond(0), "0"}, {perSecond(0.25), "0.2"}, {perSecond(9.94), "9.9"}, {perSecond(9.96), "10"}, {perSecond(51_000), "51.0 k"},
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1024), "1.00 KiB"}, {size(64 << 20), "64.0 MiB"}, {size(1000 << 20), "1000 MiB"}, {size(none), "-"},
		{percent(0.9734), "97.3 %"}, {percent(none), "-"}, {average(1.44), "1.4"}, {average(1234), "1234"}, {average(none), "-"},
		{outOf("5", "10"), "5 of 10"}, {outOf("5", unknown), "5"},
		{span(5), "5 s"}, {span(65), "1 min 5 s"}, {span(3660), "1 h 1 min"}, {span(90000), "1 d 1 h"}, {span(none), "-"}, {span(1e300), "-"},
		{brief(400 * time.Microsecond), "0.4 ms"}, {brief(2100 * time.Millisecond), "2.1 s"},
		{cut("abcdef", 6), "abcdef"}, {cut("abcdefg", 6), "abc..."}, {cut("abcdef", 2), "ab"}, {cut("abc", -1), ""}, {cut("ä·ö·ü·", 5), "ä·..."},
	} {
		if c.got != c.want {
			t.Errorf("%d: %q, want %q", i, c.got, c.want)
		}
	}
}

// TestClean: nothing of a server's or a client's can move the cursor, color text or look like something else.
func TestClean(t *testing.T) {
	for _, c := range []struct{ text, clean, readable string }{
		{"plain text", "plain text", "plain text"},
		{"\x1b]0;x\x07", "%1B]0;x%07", "%1B]0;x%07"},
		{"user%3A17%3aprofile", "user%3A17%3aprofile", "user:17:profile"},
		{"%1B%5B2J%00%7F%9B", "%1B%5B2J%00%7F%9B", "%1B[2J%00%7F%9B"},
		{"100%25%2541", "100%25%2541", "100%25%2541"},
		{"%4", "%4", "%4"}, {"%zz%", "%zz%", "%zz%"}, {"a%20b", "a%20b", "a%20b"}, {"%+1a", "%+1a", "%+1a"},
		{"\u009b31m\u202e", "%C2%9B31m%E2%80%AE", "%C2%9B31m%E2%80%AE"},
	} {
		if got := clean(c.text); got != c.clean {
			t.Errorf("clean(%q) is %q, want %q", c.text, got, c.clean)
		}
		if got := readable(c.text); got != c.readable {
			t.Errorf("readable(%q) is %q, want %q", c.text, got, c.readable)
		}
	}
	var all strings.Builder
	for b := range 256 {
		all.WriteByte(byte(b))
	}
	for _, text := range []string{clean(all.String()), readable(all.String())} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Errorf("%q is left", text[i:i+1])
		}
	}
}

func TestGraphsAndBars(t *testing.T) {
	ascii, unicode := plain, look{blocks: true}
	for _, c := range []struct{ got, want string }{
		{ascii.bar(0.5, 8), "####...."}, {ascii.bar(0, 4), "...."}, {ascii.bar(0.001, 4), "#..."}, {ascii.bar(7, 4), "####"}, {ascii.bar(math.NaN(), 4), "...."},
		{unicode.bar(0.25, 4), "█░░░"},
		{strings.Join(unicode.graph([]float64{0, 1, 4, 8}, 6, 1), "\n"), "   ▁▄█"},
		{strings.Join(unicode.graph([]float64{math.NaN(), 4, 8}, 3, 2), "\n"), "  █\n ██"},
		{strings.Join(ascii.graph([]float64{9, 9, 0, 3}, 2, 1), "\n"), " |"},
		{strings.Join(ascii.graph(nil, 3, 1), "\n"), "   "},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestLook(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want look
	}{
		{map[string]string{"LANG": "C.UTF-8", "TERM": "xterm"}, look{true, true, true}},
		{map[string]string{"LANG": "de_DE.utf8", "NO_COLOR": "yes"}, look{true, false, true}},
		{map[string]string{"LC_ALL": "C", "LANG": "C.UTF-8"}, look{true, true, false}},
		{map[string]string{"LC_CTYPE": "C.UTF-8", "TERM": "linux"}, look{true, true, false}},
		{nil, look{true, true, false}},
	} {
		if got := lookOf(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v, want %v", c.env, got, c.want)
		}
	}
	if got := (look{styles: true}).paint(trouble, "x"); got != "\x1b[1mx\x1b[m" {
		t.Errorf("without colors: %q", got)
	}
}
