package proto

import (
	"encoding/binary"

	"ringcached/store"
)

// parsedKeys are keys of gets that text_get.go has parsed and not looked up yet: up to ten, so that the store fetches all of their items from
// memory at once.
type parsedKeys struct {
	n, next int // keys there are, and of them the next to be used
	keys    [store.PrefetchMax]parsedKey
	hashes  [store.PrefetchMax]uint64
}

// parsedKey is where a key was found. Its place is counted from the input's end, which stays where it is while requests are taken from the
// input's beginning.
type parsedKey struct {
	place int // bytes from the key, or the request that begins with it, to the end of the input
	end   int // of the key, in bytes from that place
	size  int // of the request
}

// at says whether the next key is the one in this place.
func (a *parsedKeys) at(place int) bool { return a.next < a.n && a.keys[a.next].place == place }

// take gives the next key.
func (a *parsedKeys) take() (k parsedKey, hash uint64) {
	k, hash = a.keys[a.next], a.hashes[a.next]
	a.next++
	return
}

// prefetch asks for the items of the keys that were added since clear. A single key is looked up at once, so asking would gain nothing.
func (w *Worker) prefetch() {
	if w.parsed.n > 1 {
		w.st.Prefetch(w.parsed.hashes[:w.parsed.n])
	}
}

func (a *parsedKeys) add(k parsedKey, hash uint64) {
	a.keys[a.n], a.hashes[a.n] = k, hash
	a.n++
}

func (a *parsedKeys) clear() { a.n, a.next = 0, 0 }

func (a *parsedKeys) full() bool { return a.n == len(a.keys) }

// Prefetch asks the processor for what Data will read for inputs of different connections that the caller is about to give it. It looks only
// at the first request of an input, and not at a get that more follows, for which parseGets does the same. It does not know what the
// connections are in the middle of; what it takes for a key and is none costs a memory access.
func (w *Worker) Prefetch(inputs [][]byte) {
	var hashes [store.PrefetchMax]uint64
	n := 0
	for _, in := range inputs {
		if key := firstKey(in); len(key) > 0 && n < len(hashes) {
			hashes[n] = w.st.Hash(key)
			n++
		}
	}
	w.st.Prefetch(hashes[:n])
}

// firstKey is the key of a request at the beginning of in, if it is one of those that are most of all traffic; nil otherwise.
func firstKey(in []byte) []byte {
	const shortest = len("mg k\r\n")
	var from int
	switch {
	case len(in) < shortest:
		return nil
	case in[0] == magicRequest:
		return frameKey(in)
	case in[3] == ' ':
		from = len("get ")
	case in[2] == ' ':
		from = len("mg ")
	default:
		return nil
	}
	end := tokenEnd(in[:min(len(in), from+maxKey)], from)
	if binary.LittleEndian.Uint32(in) == wordGet && len(in) > end+len("\r\n") {
		return nil
	}
	return in[from:end]
}

// frameKey is the key of a binary request at the beginning of in, nil if it is not there whole.
func frameKey(in []byte) []byte {
	if len(in) < headerLen {
		return nil
	}
	from, size := headerLen+int(in[4]), int(binary.BigEndian.Uint16(in[2:]))
	end := from + size
	if size > maxKey || end > len(in) {
		return nil
	}
	return in[from:end]
}
