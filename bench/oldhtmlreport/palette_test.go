package htmlreport

import (
	"math"
	"strconv"
	"testing"
)

// linear is a colour's red, green and blue as parts of the light that a screen sends.
func linear(t *testing.T, hex string) (c [3]float64) {
	t.Helper()
	for i := range c {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil || len(hex) != 7 {
			t.Fatalf("%q is no colour", hex)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return c
}

// contrast is that of WCAG 2.
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrast(t *testing.T) {
	readable := append([]shade{}, seriesShades...)
	backgrounds := map[string]shade{}
	for _, s := range shades {
		switch s.name {
		case "paper", "panel":
			backgrounds[s.name] = s
		case "ink", "soft", "link", "good", "bad":
			readable = append(readable, s)
		}
	}
	for _, s := range readable {
		for name, b := range backgrounds {
			for kind, c := range map[string]float64{
				"light": contrast(linear(t, s.light), linear(t, b.light)), "dark": contrast(linear(t, s.dark), linear(t, b.dark)),
			} {
				if c < 4.5 {
					t.Errorf("%s on %s, %s: %.2f", s.name, name, kind, c)
				}
			}
		}
	}
	if len(backgrounds) != 2 || len(readable) != len(seriesShades)+5 {
		t.Errorf("%d backgrounds, %d colours", len(backgrounds), len(readable))
	}
}

// What eyes without cones for red, or without those for green, make of light: Machado, Oliveira and Fernandes, 2009, severity 1.
var (
	protanopia   = [3][3]float64{{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}
	deuteranopia = [3][3]float64{{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}
)

// lab is a colour in CIE's L*a*b*, where equal distances look about equally different.
func lab(c [3]float64) [3]float64 {
	f := func(v float64) float64 {
		if v > 0.008856 {
			return math.Cbrt(v)
		}
		return 7.787*v + 16.0/116
	}
	x := f((0.4124*c[0] + 0.3576*c[1] + 0.1805*c[2]) / 0.9505)
	y := f(0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2])
	z := f((0.0193*c[0] + 0.1192*c[1] + 0.9505*c[2]) / 1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// TestColoursDiffer looks at the known families' colours with three kinds of eyes. Markers and dashes differ as well.
func TestColoursDiffer(t *testing.T) {
	whole := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	for eyes, m := range map[string][3][3]float64{"all cones": whole, "no red": protanopia, "no green": deuteranopia} {
		see := func(hex string) [3]float64 {
			c := linear(t, hex)
			var seen [3]float64
			for i := range m {
				seen[i] = min(max(m[i][0]*c[0]+m[i][1]*c[1]+m[i][2]*c[2], 0), 1)
			}
			return lab(seen)
		}
		for i := range families {
			for j := range i {
				a, b := seriesShades[i], seriesShades[j]
				for kind, pair := range map[string][2]string{"light": {a.light, b.light}, "dark": {a.dark, b.dark}} {
					p, q := see(pair[0]), see(pair[1])
					if d := math.Hypot(math.Hypot(p[0]-q[0], p[1]-q[1]), p[2]-q[2]); d < 11 {
						t.Errorf("%s and %s, %s, %s: only %.1f apart", a.name, b.name, kind, eyes, d)
					}
				}
			}
		}
	}
}

// TestStyles: every style has a colour, and no two share the marker or the dash.
func TestStyles(t *testing.T) {
	markers, dashes := map[marker]bool{}, map[string]bool{}
	for i, s := range styles {
		if seriesShades[i].name != s.class {
			t.Errorf("style %d is %s, its colour %s", i, s.class, seriesShades[i].name)
		}
		if markers[s.marker] || dashes[s.dash] {
			t.Errorf("%s has another's marker or dash", s.class)
		}
		markers[s.marker], dashes[s.dash] = true, true
	}
	if len(styles) != len(seriesShades) || len(styles) < len(families)+5 {
		t.Errorf("%d styles", len(styles))
	}
}

func TestSeriesStyles(t *testing.T) {
	w := &seriesStyles{}
	given := map[style]string{}
	for _, c := range []struct {
		name   string
		family family
		stands bool
	}{
		{"uring", familyUring, true}, {"uring, unbatched", familyUring, false}, {"epoll", familyEpoll, true}, {"10.0.0.1:11211", familyOther, false}, {"a", familyOther, true},
		{"b", familyOther, true}, {"c", familyOther, true}, {"d", familyOther, true}, {"e", familyOther, true},
	} {
		s := w.styleOf(c.name, c.family, c.stands)
		if other, taken := given[s]; taken {
			t.Errorf("%s looks like %s", c.name, other)
		}
		given[s] = c.name
		if again := w.styleOf(c.name, c.family, !c.stands); again != s {
			t.Errorf("%s changes its style", c.name)
		}
	}
	if w.worn["uring"].class != "c-uring" || w.worn["epoll"].class != "c-epoll" || w.worn["uring, unbatched"].class == "c-uring" {
		t.Errorf("%+v", w.worn)
	}
}
