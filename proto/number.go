package proto

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// maxDigits is the length of the largest uint64 in decimal.
const maxDigits = 20

// parseUint reads b, decimal digits and nothing else, as a number of at most limit.
func parseUint(b []byte, limit uint64) (uint64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, v <= limit
}

// parseInt32 reads b, decimal digits with or without a minus sign, as an int32.
func parseInt32(b []byte) (int32, bool) {
	if len(b) > 0 && b[0] == '-' {
		v, ok := parseUint(b[1:], -math.MinInt32)
		return int32(-int64(v)), ok
	}
	v, ok := parseUint(b, math.MaxInt32)
	return int32(v), ok
}

// leadingDigits reads the decimal digits of b from p on, at most ten of them, and says where they end. No digit: end is p.
func leadingDigits(b []byte, p int) (v uint64, end int) {
	stop := min(len(b), p+10)
	for ; p < stop; p++ {
		d := uint64(b[p] - '0')
		if d > 9 {
			break
		}
		v = v*10 + d
	}
	return v, p
}

// parseStored reads a stored value as incr and decr understand it: white space before and anything behind a white space after the
// digits is ignored, because a shorter result is kept padded with spaces.
func parseStored(b []byte) (uint64, bool) {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	for i, c := range b {
		if isSpace(c) {
			b = b[:i]
			break
		}
	}
	return parseUint(b, math.MaxUint64)
}

func isSpace(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

// tokenEnd gives the index of the first byte of b, from p on, that is a space or below: the end of a token, of a line, or a control
// character (which keys may contain: the caller looks). len(b) if there is none. Eight bytes are looked at in one step.
func tokenEnd(b []byte, p int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; p+8 <= len(b); p += 8 {
		x := binary.LittleEndian.Uint64(b[p:])
		// A byte's high bit is set here if the byte is below 0x21; a borrow can only disturb bytes above the first such byte.
		if m := (x - ones*0x21) & ^x & highs; m != 0 {
			return p + bits.TrailingZeros64(m)>>3
		}
	}
	for ; p < len(b); p++ {
		if b[p] <= ' ' {
			break
		}
	}
	return p
}
