package htmlreport

import (
	"math"
	"testing"

	trial "ringcached/bench/oldtrial"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		unit  unit
		value float64
		want  string
	}{
		{seconds, 4.1234, "4.12 µs"}, {seconds, 0.55, "550 ns"}, {seconds, 12_345, "12.3 ms"}, {seconds, 2e6, "2 s"}, {seconds, 0, "0 µs"},
		{perSecond, 247_312, "247 k/s"}, {perSecond, 1_234_567, "1.23 M/s"}, {perSecond, 999, "999 /s"}, {perSecond, 0.5, "0.5 /s"},
		{bytesUnit, 64, "64 B"}, {bytesUnit, 1 << 10, "1 KiB"}, {bytesUnit, 1 << 16, "64 KiB"}, {bytesUnit, 3 << 20, "3 MiB"},
		{bytesUnit, 4448, "4.34 KiB"},
		{plain, 128, "128"}, {plain, 16384, "16.4 k"},
	} {
		want := c.want
		for i, r := range want {
			if r == ' ' {
				want = want[:i] + nobreak + want[i+1:]
			}
		}
		if got := c.unit.text(c.value); got != want {
			t.Errorf("%v: %q, want %q", c.value, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0612: "0.0612", 4.1: "4.100", 99.5: "99.500", 1234.56: "1234.6",
		247312.4: "247\u202f312", -12345: "-12\u202f345", 1e6: "1\u202f000\u202f000",
	} {
		if got := grouped(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.004: "0.4", 0.0612: "6.1", 0.25: "25", 1.5: "150", 0.0996: "10"} {
		if got := percent(v); got != want+nobreak+"%" {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      []float64
	}{
		{0, 10, []float64{0, 2, 4, 6, 8, 10}}, {0, 0.37, []float64{0, 0.1, 0.2, 0.3}},
		{0.92, 1.08, []float64{0.95, 1, 1.05}}, {0, 247_000, []float64{0, 50_000, 100_000, 150_000, 200_000}},
		{25_000, 25_000, []float64{25_000}},
	} {
		if got := linearTicks(c.low, c.high, 5); !near(got, c.want) || math.Signbit(got[0]) {
			t.Errorf("%v..%v: %v", c.low, c.high, got)
		}
	}
	if got := logTicks(90, 30_000); !near(got, []float64{100, 200, 500, 1000, 2000, 5000, 10_000, 20_000}) {
		t.Errorf("%v", got)
	}
	if got := logTicks(2, 5e7); !near(got, []float64{10, 100, 1e3, 1e4, 1e5, 1e6, 1e7}) {
		t.Errorf("%v", got)
	}
}

func near(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-9*max(1, math.Abs(b[i])) {
			return false
		}
	}
	return true
}

// TestAxes: places keep their order and their distances, 0 has a place on a logarithmic axis, and texts do not touch.
func TestAxes(t *testing.T) {
	places := func(xs ...float64) (all []place) {
		for _, x := range xs {
			all = append(all, place{x: x})
		}
		return all
	}
	s := axisScale(&trial.Axis{Scale: trial.ScaleLog}, places(0, 256, 1024, 4096), 0, 300)
	if a, b, c, d := s.at(0), s.at(256), s.at(1024), s.at(4096); !(0 < a && a < b && b < c && c < d && d < 300) || math.Abs(b-a-(d-c)) > 1e-6 {
		t.Errorf("%v %v %v %v", a, b, c, d)
	}
	s = axisScale(&trial.Axis{Scale: trial.ScaleLinear}, places(1), 0, 300)
	if s.at(1) != 150 || len(s.ticks) != 1 {
		t.Errorf("a single place is at %v, with %d ticks", s.at(1), len(s.ticks))
	}
	s = axisScale(&trial.Axis{Scale: trial.ScaleLog, Unit: "B"}, places(64, 128, 256, 512, 1<<10, 1<<11, 1<<12, 1<<13, 1<<14, 1<<15, 1<<16), 0, 300)
	for i := range s.ticks[1:] {
		a, b := s.ticks[i], s.ticks[i+1]
		if s.at(b.value)-s.at(a.value) < (textWidth(a.text)+textWidth(b.text))/2 {
			t.Errorf("%q touches %q", a.text, b.text)
		}
	}
	if last := s.ticks[len(s.ticks)-1].text; last != "64"+nobreak+"KiB" || len(s.ticks) < 4 {
		t.Errorf("%d ticks, the last is %q", len(s.ticks), last)
	}
}

// TestRanges: an interval of few rounds, which can be very wide, does not dwarf the medians.
func TestRanges(t *testing.T) {
	low, high, log := rangeOf([]trial.Estimate{{Median: 4, Low: -20, High: 28, Rounds: 2}, {Median: 5, Low: 4.9, High: 5.1, Rounds: 5}}, false)
	if low != 0 || high < 5.1 || high > 7 || log {
		t.Errorf("%v..%v, %v", low, high, log)
	}
	low, high, log = rangeOf([]trial.Estimate{{Median: 100, High: -1, Rounds: 1}, {Median: 9000, High: -1, Rounds: 1}}, false)
	if !log || low > 100 || low <= 0 || high < 9000 {
		t.Errorf("%v..%v, %v", low, high, log)
	}
	if low, high, _ = rangeOf([]trial.Estimate{{Median: -20, High: -1, Rounds: 1}, {Median: 70, High: -1, Rounds: 1}}, false); low > -20 || high < 70 {
		t.Errorf("%v..%v", low, high)
	}
	low, high, _ = rangeOf([]trial.Estimate{{Median: 0.8, Low: 0.79, High: 0.81, Rounds: 5}}, true)
	if low > 0.79 || high < 1.05 {
		t.Errorf("%v..%v", low, high)
	}
}
