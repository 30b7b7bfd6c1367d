package store

import (
	"runtime"
	"strconv"
	"unsafe"
)

// Alloc makes an item that is not in the index yet, for a value of n bytes: its key and suffix are there, the value and the "\r\n"
// behind it are the caller's to write (Room). exptime is a second of the store, 0 for never. The caller owns its one reference,
// and ends with Entry.Link or Release.
//
// ErrTooLarge says that the item is above Config.ItemMax, or the key above KeyMax; ErrNoMemory that no memory can be had. Making
// room may evict other items. Alloc may be called under an entry's lock, but Entry.Alloc is better there.
func (s *Store) Alloc(key []byte, flags, exptime uint32, n int) (Item, error) {
	return s.alloc(key, flags, exptime, n, 0, nil)
}

// allocTries is how often Alloc looks for memory before it gives up: what others are about to free, or have locked, may be had a
// moment later.
const allocTries = 3

// alloc is Alloc for a caller that may have locked the stripe held. own is stateOwnCAS for an item with room for a CAS, or 0.
func (s *Store) alloc(key []byte, flags, exptime uint32, n int, own uint32, held *stripe) (Item, error) {
	if s.tooLarge(len(key), flags, n) {
		return Item{}, ErrTooLarge
	}
	suffix := len("  \r\n") + digits(flags) + digits(uint32(n))
	size := headerSize + extension(own) + len(key) + suffix + n + 2
	for try := 1; ; try++ {
		for e := share; e <= gather; e++ {
			if h, c := s.takeWhole(size, e, held); h != nil {
				h.ident, h.exptime, h.access = uint64(c.id), exptime, s.now.Load()
				h.shape = uint32(n)<<shapeLength | uint32(suffix)<<shapeSuffix | uint32(len(key))
				h.setState(referenceOne | own)
				writeText(unsafe.Slice((*byte)(h.text()), len(key)+suffix), key, flags, n)
				return Item{h}, nil
			}
			if e == empty && size <= ChunkMax {
				continue // takeWhole did
			}
			o := order{key, flags, exptime, n, suffix, own, held}
			if it := s.allocChain(&o, e); it.Valid() {
				return it, nil
			}
			if e == share && s.scarceLately(size) {
				return Item{}, s.noMemory(size)
			}
		}
		if try == allocTries || s.config.NoEvict {
			s.scarce(size)
			return Item{}, s.noMemory(size)
		}
		runtime.Gosched()
	}
}

// tooLarge counts as memcached does, see SizeOf.
func (s *Store) tooLarge(key int, flags uint32, n int) bool {
	return key > KeyMax || n < 0 || n > s.config.ItemMax-s.sizeOf(key, flags, 0)
}

// writeText renders key and suffix into text, which is as long as they are.
func writeText(text, key []byte, flags uint32, n int) {
	at := copy(text, key)
	text[at] = ' '
	b := strconv.AppendUint(text[:at+1], uint64(flags), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(n), 10)
	b = append(b, '\r', '\n')
	check(len(b) == len(text), "suffix is not as long as computed")
}

// digits is the length of n in decimal.
func digits(n uint32) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}
