package replay

import (
	"encoding/binary"
	"sync"

	"github.com/zeebo/xxh3"

	"ringcached/bench/load"
)

// The values of a replay follow from key and size alone, so every value that any connection ever stored can be checked, and need not be
// remembered. The size is the item's flags too: what was appended and prepended is told from it.
//
// A value of fewer than 20 bytes is a decimal number, so that increments work. A larger one is eight bytes that belong to key and size, and a
// stretch of a fixed pattern.

// numberSize is the size in bytes from which on a value is no number: 19 digits are fewer than 64 bits hold.
const numberSize = 20

// What append and prepend add, bytes that no value begins with.
const (
	appendedByte  = 'a'
	prependedByte = 'p'
)

// replayValue is the value of a key and size.
type replayValue struct {
	size int
	head [numberSize]byte
	own  int // bytes of head
	at   int // of the first byte after it, in the pattern
}

// replayPattern is twice the period, so that a stretch of one period can begin anywhere in the first.
var replayPattern = sync.OnceValue(func() []byte {
	p := make([]byte, 2*load.PatternPeriod)
	for i := 0; i < load.PatternPeriod; i += 8 {
		binary.LittleEndian.PutUint64(p[i:], load.Mix(uint64(i)+1))
	}
	copy(p[load.PatternPeriod:], p)
	return p
})

// valueOf returns the value of a key by the key's hash.
func valueOf(hash uint64, size int) (v replayValue) {
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
	v.head[0] |= 0x80 // no prependedByte, no digit
	v.at = int(h>>8) & (load.PatternPeriod - 1)
	return v
}

// piece returns the bytes of the value from offset on, as many as lie together. The offset is below the size.
func (v *replayValue) piece(offset int) []byte {
	if offset < v.own {
		return v.head[offset:v.own]
	}
	from := (v.at + offset - v.own) & (load.PatternPeriod - 1)
	return replayPattern()[from : from+min(load.PatternPeriod, v.size-offset)]
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
