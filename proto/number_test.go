package proto

import (
	"bytes"
	"math"
	"strconv"
	"testing"
	"time"
	"unsafe"
)

func TestParseUint(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "007": 7, "4294967295": math.MaxUint32, "18446744073709551615": math.MaxUint64} {
		if got, ok := parseUint([]byte(text), math.MaxUint64); !ok || got != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-1", "+1", " 1", "1 ", "1x", "18446744073709551616", "99999999999999999999", "184467440737095516150", "00000000000000000000005"} {
		if got, ok := parseUint([]byte(text), math.MaxUint64); ok {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
	for _, text := range []string{"4294967296", "000000000005"} {
		if got, ok := parseUint([]byte(text), math.MaxUint32); ok {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
}

func TestParseInt32(t *testing.T) {
	for _, want := range []int32{0, 1, -1, math.MaxInt32, math.MinInt32} {
		if got, ok := parseInt32([]byte(strconv.Itoa(int(want)))); !ok || got != want {
			t.Errorf("%d: %d %v", want, got, ok)
		}
	}
	for _, text := range []string{"", "--1", "+1", "2147483648", "-2147483649", "1.5", "000000000005", "-00000000005"} {
		if got, ok := parseInt32([]byte(text)); ok {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
}

func TestTokenEnd(t *testing.T) {
	for length := range 40 {
		for at := range length {
			for _, stop := range []byte{0, '\n', '\r', '\t', ' '} {
				for _, fill := range []byte{'!', 'a', 0x7f, 0x80, 0xa0, 0xa1, 0xff} {
					b := bytes.Repeat([]byte{fill}, length)
					b[at] = stop
					for p := range at + 1 {
						if got := tokenEnd(b, p); got != at {
							t.Fatalf("%q from %d: %d, want %d", b, p, got, at)
						}
					}
					if got := tokenEnd(b, at+1); got != length {
						t.Fatalf("%q from %d: %d, want %d", b, at+1, got, length)
					}
				}
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	s := NewServer(nil, Config{Start: start})
	const now = 1002 // 1000 seconds after the start
	for at, want := range map[int64]uint32{
		-1:             1,
		math.MinInt32:  1,
		1:              now + 1,
		2_592_000:      now + 2_592_000,
		2_592_001:      1,
		1_699_999_998:  1,
		1_700_000_000:  2,
		1_700_001_000:  now,
		1_700_001_001:  now + 1,
		math.MaxInt32:  math.MaxInt32 - 1_700_000_000 + 2,
		math.MaxUint32: math.MaxUint32 - 1_700_000_000 + 2,
	} {
		if got := s.second(at, now); got != want {
			t.Errorf("%d: %d, want %d", at, got, want)
		}
	}
}

func TestSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > 32 {
		t.Errorf("%d bytes", n)
	}
}

func TestCommandNames(t *testing.T) {
	for i := range commands {
		c := &commands[i]
		if find([]byte(c.name)) != c {
			t.Errorf("%s is not found", c.name)
		}
		if c.min < 1 || c.min > maxArgs {
			t.Errorf("%s: %d words", c.name, c.min)
		}
	}
	for _, name := range []string{"", "g", "GET", "geta", "flush_al", "flush_all_", "a name longer than any"} {
		if find([]byte(name)) != nil {
			t.Errorf("%q is a command", name)
		}
	}
}

// TestCNumber reads numbers whole and in two pieces, cut anywhere.
func TestCNumber(t *testing.T) {
	const no = "no number"
	for text, want := range map[string]struct{ unsigned, signed any }{
		"":                       {no, no},
		"0":                      {uint64(0), int64(0)},
		"007":                    {uint64(7), int64(7)},
		"+5":                     {uint64(5), int64(5)},
		" \t\n\v\f\r5":           {uint64(5), int64(5)},
		"5 apples":               {uint64(5), int64(5)},
		"5\tx":                   {uint64(5), int64(5)},
		"5\x00x":                 {uint64(5), int64(5)},
		"5x":                     {no, no},
		"x5":                     {no, no},
		"\x005":                  {no, no},
		" ":                      {no, no},
		"+":                      {no, no},
		"-":                      {no, no},
		"- 5":                    {no, no},
		"+-5":                    {no, no},
		"0x5":                    {no, no},
		"1e3":                    {no, no},
		"-0":                     {uint64(0), int64(0)},
		"-5":                     {no, int64(-5)},
		"9223372036854775807":    {uint64(math.MaxInt64), int64(math.MaxInt64)},
		"9223372036854775808":    {uint64(math.MaxInt64 + 1), no},
		"-9223372036854775808":   {no, int64(math.MinInt64)},
		"-9223372036854775809":   {uint64(math.MaxInt64), no},
		"18446744073709551615":   {uint64(math.MaxUint64), no},
		"18446744073709551615 -": {uint64(math.MaxUint64), no},
		"-18446744073709551615":  {uint64(1), no},
		"18446744073709551616":   {no, no},
		"18446744073709551620":   {no, no},
		"99999999999999999999":   {no, no},
		"000000000000000000000000000000000000018446744073709551615": {uint64(math.MaxUint64), no},
	} {
		for cut := range len(text) + 1 {
			var n cNumber
			if n.take([]byte(text[:cut])) {
				n.take([]byte(text[cut:]))
			}
			if v, ok := n.unsigned(); ok != (want.unsigned != no) || ok && v != want.unsigned {
				t.Errorf("%q cut at %d: unsigned %d %v, want %v", text, cut, v, ok, want.unsigned)
			}
			if v, ok := n.signed(); ok != (want.signed != no) || ok && v != want.signed {
				t.Errorf("%q cut at %d: signed %d %v, want %v", text, cut, v, ok, want.signed)
			}
		}
	}
}

// TestCutTo32Bits: what a storage command makes of larger numbers.
func TestCutTo32Bits(t *testing.T) {
	for text, want := range map[string]int32{"4294967295": -1, "4294967296": 0, "2208988800": -2085978496, "-2147483649": math.MaxInt32} {
		if got, ok := parseExptime([]byte(text)); !ok || got != want {
			t.Errorf("exptime %s: %d %v", text, got, ok)
		}
	}
	for text, want := range map[string]uint32{"4294967296": 0, "4294967301": 5, "18446744073709551615": math.MaxUint32} {
		if got, ok := parseFlags([]byte(text)); !ok || got != want {
			t.Errorf("flags %s: %d %v", text, got, ok)
		}
	}
}
