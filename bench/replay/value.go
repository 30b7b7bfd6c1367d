package replay

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"ringcached/bench/load"
	"ringcached/bench/trace"
)

// value is the value of a key and size. It follows from these alone, so every value that any connection ever stored can be checked, and need
// not be remembered. The size is the item's flags too: what was appended and prepended is told from it.
//
// A value of fewer than 20 bytes is a decimal number, so that increments work. A larger one is eight bytes that belong to key and size, and a
// stretch of a fixed pattern.
type value struct {
	size int
	head [numberSize]byte
	own  int // bytes of head
	at   int // of the first byte after it, in the pattern
}

// numberSize is the size in bytes from which on a value is no number: 19 digits are fewer than 64 bits hold.
const numberSize = 20

// What append and prepend add, bytes that no value begins with.
const (
	appended  = "a"
	prepended = "p"
)

// pattern is twice the period, so that a stretch of one period can begin anywhere in the first.
var pattern = sync.OnceValue(func() []byte {
	p := make([]byte, 2*load.PatternPeriod)
	for i := 0; i < load.PatternPeriod; i += 8 {
		binary.LittleEndian.PutUint64(p[i:], load.Mix(uint64(i)+1))
	}
	copy(p[load.PatternPeriod:], p)
	return p
})

// valueOf returns the value of a key by the key's hash.
func valueOf(hash uint64, size int) (v value) {
	h := load.Mix(hash ^ load.Mix(uint64(size)))
	v.size = size
	if size < numberSize {
		v.own = size
		for i := range size {
			v.head[i] = byte('0' + h%10)
			h /= 10
		}
		if size > 0 && v.head[0] == '0' {
			v.head[0] = '1'
		}
		return v
	}
	v.own = load.StampSize
	binary.LittleEndian.PutUint64(v.head[:], h)
	v.head[0] |= 0x80 // not prepended, no digit
	v.at = int(h>>8) & (load.PatternPeriod - 1)
	return v
}

// piece returns the bytes of the value from offset on, as many as lie together. The offset is below the size.
func (v *value) piece(offset int) []byte {
	if offset < v.own {
		return v.head[offset:v.own]
	}
	from := (v.at + offset - v.own) & (load.PatternPeriod - 1)
	return pattern()[from : from+min(load.PatternPeriod, v.size-offset)]
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

// extras are what append and prepend send, again and again.
var extras = map[trace.Op][]byte{
	trace.Append:  bytes.Repeat([]byte(appended), 4096),
	trace.Prepend: bytes.Repeat([]byte(prepended), 4096),
}

func (c *conn) writeValue(q *request) error {
	extra := extras[q.op]
	c.value = valueOf(q.hash, q.size)
	for done := 0; done < q.size; {
		piece := extra[:min(len(extra), q.size-done)]
		if extra == nil {
			piece = c.value.piece(done)
		}
		n, err := c.out.Write(piece)
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// foreign explains what else than a wrong server gives an unexpected value.
const foreign = "(was the server empty when the replay began?)"

// checkValue reads the value of an item whose flags say which size was stored.
func (c *conn) checkValue(q *request, size, stored int) error {
	c.value = valueOf(q.hash, stored)
	counted := stored > 0 && stored < numberSize && c.r.counted.Load()
	if extended := c.r.extended.Load(); extended && size != stored || counted {
		return c.checkChanged(q, size, counted, extended)
	}
	if size != stored {
		return q.wrong("%d bytes with flags %d, which should be the same %s", size, stored, foreign)
	}
	for at := 0; at < stored; {
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		want := c.value.piece(at)
		got, _ := c.in.Peek(min(len(want), c.in.Buffered()))
		if !bytes.Equal(got, want[:len(got)]) {
			return q.wrong("its value of %d bytes differs from byte %d on %s", size, at, foreign)
		}
		at += len(got)
		_, _ = c.in.Discard(len(got))
	}
	return nil
}

// checkChanged reads a value that was extended, or that arithmetic may have changed. It is what was stored or some number, with spaces behind it
// where it lost digits: an increment of a number with a space and more behind it makes spaces of all of that.
func (c *conn) checkChanged(q *request, size int, counted, extended bool) error {
	if size > 1<<30 {
		return q.wrong("a value of %d bytes %s", size, foreign)
	}
	c.changed = slices.Grow(c.changed[:0], size)[:size]
	if _, err := io.ReadFull(c.in, c.changed); err != nil {
		return err
	}
	rest := c.changed
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
		for at := 0; at < c.value.size; {
			piece := c.value.piece(at)
			if !bytes.HasPrefix(rest, piece) {
				return q.wrong("its value of %d bytes, extended, differs from byte %d on %s", size, size-len(rest), foreign)
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
