package replay

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/zeebo/xxh3"

	"ringcached/bench/trace"
)

// The value of an item follows from its key and size alone, so every value that any connection ever stored can be checked, and need not be
// remembered. The size is the item's flags too: what was appended and prepended is told from it.
//
// A value of fewer than 20 bytes is a decimal number, so that increments work. A larger one is 251 arbitrary bytes, again and again: no page
// or block of a server is a multiple of that.
const (
	numberSize  = 20 // 19 digits are fewer than 64 bits hold
	valuePeriod = 251
	largeValue  = 1 << 20 // what has more is not kept: such values are rare
)

// What append and prepend add, bytes that no value begins with.
const (
	appended  = "a"
	prepended = "p"
)

// stored returns the value of a key, by its hash, and size. It is valid until the next value.
func (c *conn) stored(hash uint64, size int) []byte {
	c.draw.Seed(hash, uint64(size))
	v := c.value[:0]
	if size < numberSize {
		for range size {
			v = append(v, byte('0'+c.draw.Uint64()%10))
		}
		if size > 0 && v[0] == '0' {
			v[0] = '1'
		}
	} else {
		for len(v) < min(size, valuePeriod) {
			v = binary.LittleEndian.AppendUint64(v, c.draw.Uint64())
		}
		v = v[:min(size, valuePeriod)]
		v[0] |= 0x80 // not prepended, no digit
	}
	return c.repeat(v, size)
}

// repeat makes c.value what begins with v, and repeats it to the size.
func (c *conn) repeat(v []byte, size int) []byte {
	for v = slices.Grow(v, size-len(v)); len(v) < size; {
		v = append(v, v[:min(len(v), size-len(v))]...)
	}
	if c.value = v; cap(v) > largeValue {
		c.value = nil
	}
	return v
}

func (c *conn) writeValue(q *request) error {
	var v []byte
	switch {
	case q.op == trace.Append && q.size > 0:
		v = c.repeat(append(c.value[:0], appended...), q.size)
	case q.op == trace.Prepend && q.size > 0:
		v = c.repeat(append(c.value[:0], prepended...), q.size)
	default:
		v = c.stored(q.hash, q.size)
	}
	_, err := c.out.Write(v)
	return err
}

// keyHash is the hash that values are made of.
func keyHash(key []byte) uint64 { return xxh3.Hash(key) }

// appendKeyHash appends up to size characters that stand for a key.
func appendKeyHash(dst, key []byte, size int) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_."
	h := xxh3.Hash(key)
	for range min(size, 11) { // of 6 bits
		dst = append(dst, digits[h&63])
		h >>= 6
	}
	return dst
}

// foreign explains what else than a wrong server gives an unexpected value.
const foreign = "(was the server empty when the replay began?)"

// checkValue reads the value of an item whose flags say which size was stored: that value, if the trace appends with bytes of its own before and
// after it, and if it increments perhaps another number, with spaces behind it where it lost digits. An increment of a number with a space and
// more behind it makes spaces of all of that.
func (c *conn) checkValue(q *request, size, stored int) error {
	extended := c.r.extended.Load()
	counted := stored > 0 && stored < numberSize && c.r.counted.Load()
	if size != stored && !counted && (!extended || size < stored) || size > 1<<30 {
		return q.wrong("%d bytes with flags %d, which should be the same %s", size, stored, foreign)
	}
	c.read = slices.Grow(c.read[:0], size)[:size]
	if _, err := io.ReadFull(c.In, c.read); err != nil {
		return err
	}
	rest := c.read
	if len(rest) > largeValue {
		c.read = nil
	}
	trim := func(of string) { rest = bytes.TrimLeft(rest, of) }
	if extended {
		trim(prepended)
	}
	if counted {
		text := rest
		trim("0123456789")
		if _, ok := decimal(text[:len(text)-len(rest)]); !ok {
			return q.wrong("its value of %d bytes has no number: %.60q %s", size, text, foreign)
		}
		trim(" ")
	} else {
		value := c.stored(q.hash, stored)
		if !bytes.HasPrefix(rest, value) {
			for len(rest) > 0 && rest[0] == value[0] {
				rest, value = rest[1:], value[1:]
			}
			return q.wrong("its value of %d bytes differs from byte %d on %s", size, size-len(rest), foreign)
		}
		rest = rest[stored:]
	}
	if extended {
		trim(appended)
	}
	if len(rest) > 0 {
		return q.wrong("its value of %d bytes goes on wrongly from byte %d on %s", size, size-len(rest), foreign)
	}
	return nil
}
