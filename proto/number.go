package proto

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// maxDigits is the length of the largest uint64 in decimal.
const maxDigits = 20

// The longest numbers that parseUint and parseInt32 accept, in bytes with sign and leading zeros. memcached accepts no longer ones.
const (
	longest32 = 11
	longest64 = 22
)

// parseUint reads b, decimal digits and nothing else, as a number of at most limit.
func parseUint(b []byte, limit uint64) (uint64, bool) {
	longest := longest32
	if limit > math.MaxUint32 {
		longest = longest64
	}
	if len(b) == 0 || len(b) > longest {
		return 0, false
	}
	v, ok := digits(b)
	return v, ok && v <= limit
}

// digits reads decimal digits, of which there may be none and must be nothing else.
func digits(b []byte) (uint64, bool) {
	var v uint64
	for i, c := range b {
		d := uint64(c - '0')
		if d > 9 || i >= maxDigits-1 && v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// parseInt32 reads b, decimal digits with or without a minus sign, as an int32. A minus sign alone is 0, as for memcached.
func parseInt32(b []byte) (int32, bool) {
	if len(b) == 0 || len(b) > longest32 {
		return 0, false
	}
	if b[0] == '-' {
		v, ok := digits(b[1:])
		return int32(-int64(v)), ok && v <= -math.MinInt32
	}
	v, ok := digits(b)
	return int32(v), ok && v <= math.MaxInt32
}

// parseLength reads the length of a value that a client announces, which with its "\r\n" must be an int32.
func parseLength(b []byte) (int, bool) {
	n, ok := parseInt32(b)
	return int(n), ok && n >= 0 && n <= maxValue
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

// cNumber reads a number as C's strtol and strtoull do: blanks may go before it, and a sign; it ends at a blank or a NUL, whatever
// follows, or where the text ends. It takes the text in pieces.
type cNumber struct {
	at    cPlace
	minus bool
	found bool // a digit
	wrong bool // it is no number, or one above 64 bits
	value uint64
}

// cPlace is the part of a number that a cNumber expects next.
type cPlace uint8

const (
	cBlanks cPlace = iota
	cDigits
	cEnd
)

// take reads a piece. It returns whether more text could change the number.
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

// unsigned is the number as strtoull gives it: a minus sign wraps it around. ok is false if the result looks negative all the same.
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

// parseFlags reads the client's flags of a storage command. Only the lowest 32 bits count.
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

// firstSecond is the store's clock at Config.Start. It is not 0, so that 0 can mean never and 1 is always past.
const firstSecond = 2

// relativeLimit is the largest expiry time, in seconds, that counts from now (30 days); larger ones are Unix times.
const relativeLimit = 60 * 60 * 24 * 30

// expiry turns a client's expiry time into a second of the store: 0 never, negative always past. The binary protocol's times have no
// sign.
func (w *Worker) expiry(t int64) uint32 {
	if t == 0 {
		return 0
	}
	return w.srv.second(t, w.st.Now())
}

// second is the store second that t means when the store's clock shows now. t is not 0.
func (s *Server) second(t int64, now uint32) uint32 {
	switch {
	case t < 0:
		return 1
	case t <= relativeLimit:
		return now + uint32(t)
	case t <= s.epoch:
		return 1
	default:
		return uint32(min(t-s.epoch, math.MaxUint32))
	}
}
