package replay

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/zeebo/xxh3"

	"ringcached/bench/trace"
)

// The value of an item follows from its key and size alone, so every value that any connection ever stored can be
// checked, and need not be remembered. The size is the item's flags too: what was appended and prepended is told from
// it.
//
// A value of fewer than 20 bytes is a decimal number, so that increments work. A larger one is 251 arbitrary bytes,
// again and again: no page or block of a server is a multiple of that.
const (
	numberSize  = 20 // 19 digits are fewer than 64 bits hold
	valuePeriod = 251
	valuePiece  = 16 << 10 // about as many bytes are written and compared at once: a trace may have values of gigabytes
)

// What append and prepend add, bytes that no value begins with.
const (
	appended  = "a"
	prepended = "p"
)

var extensions = map[trace.Op][]byte{
	trace.Append: bytes.Repeat([]byte(appended), valuePiece), trace.Prepend: bytes.Repeat([]byte(prepended), valuePiece),
}

// setValue makes c.value the value of a key, by its hash, and size, or what is repeated in it.
func (c *conn) setValue(hash uint64, size int) {
	c.draw.Seed(hash, uint64(size))
	v := c.value[:0]
	if size < numberSize {
		for range size {
			v = append(v, byte('0'+c.draw.Uint64()%10))
		}
		if size > 0 && v[0] == '0' {
			v[0] = '1'
		}
		c.value = v
		return
	}
	for len(v) < min(size, valuePeriod) {
		v = binary.LittleEndian.AppendUint64(v, c.draw.Uint64())
	}
	v = v[:min(size, valuePeriod)]
	for v[0] |= 0x80; len(v) < min(size, valuePiece); { // not prepended, no digit
		v = append(v, v...)
	}
	c.value = v
}

// piece returns the bytes of a value of a size from offset on, as many as lie together. The offset is below the size.
func (c *conn) piece(offset, size int) []byte {
	p := c.value[offset%len(c.value):]
	return p[:min(len(p), size-offset)]
}

func (c *conn) writeValue(q *request) error {
	if extension := extensions[q.op]; extension != nil {
		c.value = append(c.value[:0], extension...)
	} else {
		c.setValue(q.hash, q.size)
	}
	for at := 0; at < q.size; {
		n, err := c.out.Write(c.piece(at, q.size))
		if at += n; err != nil {
			return err
		}
	}
	return nil
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

// checkValue reads the value of an item whose flags say which size was stored: that value, if the trace appends with
// bytes of its own before and after it, and if it increments perhaps another number, with spaces behind it where it
// lost digits. An increment of a number with a space and more behind it makes spaces of all of that.
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
	if len(rest) > 1<<20 {
		c.read = nil // large values are rare
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
		c.setValue(q.hash, stored)
		for at := 0; at < stored; {
			piece := c.piece(at, stored)
			if !bytes.HasPrefix(rest, piece) {
				return q.wrong("its value of %d bytes differs from byte %d on, or soon behind it %s", size, size-len(rest), foreign)
			}
			rest, at = rest[len(piece):], at+len(piece)
		}
	}
	if extended {
		trim(appended)
	}
	if len(rest) > 0 {
		return q.wrong("its value of %d bytes goes on wrongly from byte %d on %s", size, size-len(rest), foreign)
	}
	return nil
}
