package proto

import (
	"math"
	"testing"
)

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
