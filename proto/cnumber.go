package proto

import "math"

// cNumber reads a number as C's strtol and strtoull do: blanks may go before it, and a sign; it ends at a blank or a NUL, whatever
// follows, or where the text ends. It takes the text in pieces.
type cNumber struct {
	at    cPlace
	minus bool
	found bool // a digit
	wrong bool // it is no number, or one above 64 bits
	value uint64
}

// cPlace is how far a cNumber has come.
type cPlace uint8

const (
	cBlanks cPlace = iota
	cDigits
	cEnd
)

// take reads a piece. It says whether more could change anything.
func (n *cNumber) take(b []byte) (more bool) {
	for _, c := range b {
		if n.at == cBlanks {
			if isSpace(c) {
				continue
			}
			n.at = cDigits
			if c == '+' || c == '-' {
				n.minus = c == '-'
				continue
			}
		}
		d := uint64(c - '0')
		switch {
		case d <= 9 && n.value <= (math.MaxUint64-d)/10:
			n.value, n.found = n.value*10+d, true
			continue
		case d <= 9 || !isSpace(c) && c != 0:
			n.wrong = true
		}
		n.at = cEnd
		return false
	}
	return true
}

// unsigned is the number as strtoull gives it: a minus sign wraps it around. What is negative all the same is refused.
func (n *cNumber) unsigned() (uint64, bool) {
	v := n.value
	if n.minus {
		v = -v
	}
	return v, n.found && !n.wrong && !(n.minus && v > math.MaxInt64)
}

// signed is the number as strtol gives it.
func (n *cNumber) signed() (int64, bool) {
	v := int64(n.value)
	if n.minus {
		v = -v
	}
	return v, n.found && !n.wrong && (n.value <= math.MaxInt64 || n.minus && n.value == 1<<63)
}

// parseFlags reads the client's flags of a storage command: what is above 32 bits is cut off.
func parseFlags(b []byte) (uint32, bool) {
	var n cNumber
	n.take(b)
	v, ok := n.unsigned()
	return uint32(v), ok
}

// parseExptime reads the expiry time of a storage command, of which the lowest 32 bits count, with their sign: clients send -1 as
// 4294967295.
func parseExptime(b []byte) (int32, bool) {
	var n cNumber
	n.take(b)
	v, ok := n.signed()
	return int32(v), ok
}
