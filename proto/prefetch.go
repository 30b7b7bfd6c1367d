package proto

import (
	"encoding/binary"

	"ringcached/internal/contract"
	"ringcached/store"
)

const (
	// aheadMax is how many keys are parsed before the first of them is looked up, and aheadGroup how many at a time, later on.
	aheadMax, aheadGroup = 16, 4
	// The items of so many of them have been asked for; and of those that are not in their first bucket, the next one is asked for by then.
	aheadItems, aheadOverflow = 8, 4
)

// parsedKeys are keys of gets that have been parsed and not looked up yet, so that the store fetches their items from memory meanwhile.
type parsedKeys struct {
	head, next uint32 // keys parsed, and looked up, since restart
	near       uint32 // keys whose items were asked for
	rest       int    // bytes from where parsing goes on to the end of the input
	ended      bool   // it does not: something else follows
	keys       [2 * aheadMax]parsedKey
}

// parsedKey is where a key was found. Its place is counted from the input's end, which stays where it is while requests are taken from the
// input's beginning.
type parsedKey struct {
	place      int32 // bytes from the request, or in a multiget from the key, to the end of the input
	begin, end int32 // the key, in bytes from that place
	size       int32 // of the request, or up to the space or the line end behind the key of a multiget
	hash       uint64
	approach   store.Approach
}

// clear forgets all.
func (a *parsedKeys) clear() { a.head, a.next = 0, 0 }

func (a *parsedKeys) key(i uint32) *parsedKey { return &a.keys[i%uint32(len(a.keys))] }

// at says whether the next key is the one in this place.
func (a *parsedKeys) at(place int) bool { return a.next != a.head && int(a.key(a.next).place) == place }

// few says that it is time to parse more.
func (a *parsedKeys) few() bool { return a.head-a.next <= aheadMax-aheadGroup && !a.ended }

// add adds a key, whose hash is that of the text. The store begins to approach it, unless it is the only one: that is looked up at once, so
// that nothing would be gained.
func (w *Worker) add(text []byte, place, begin, end, size int) {
	a := &w.parsed
	k := a.key(a.head)
	k.place, k.begin, k.end, k.size = int32(place), int32(begin), int32(end), int32(size)
	k.hash = w.st.Hash(text)
	switch a.head++; a.head {
	case 1:
		k.approach = store.Approach{}
		return
	case 2:
		w.st.Approach(&a.keys[0].approach, a.keys[0].hash)
	}
	w.st.Approach(&k.approach, k.hash)
}

// parseAhead makes sure that keys at the beginning of in are parsed, at most most of them: parse adds the next one and says how many bytes that were,
// 0 if something else is there.
func (w *Worker) parseAhead(in []byte, most int, parse func(*Worker, []byte) int) {
	a := &w.parsed
	if !a.at(len(in)) {
		a.head, a.next, a.near, a.rest, a.ended = 0, 0, 0, len(in), false
	}
	most = min(most, aheadMax)
	for !a.ended && int(a.head-a.next) < most {
		n := parse(w, in[len(in)-a.rest:])
		a.rest -= n
		a.ended = a.ended || n == 0
	}
	if a.near == 0 {
		for a.near < min(a.head, aheadItems/2) {
			w.stepAhead()
		}
	}
}

// ahead is parseAhead for requests, and says whether the one at the beginning of in was parsed.
func (w *Worker) ahead(in []byte, parse func(*Worker, []byte) int) bool {
	if w.parsed.few() || !w.parsed.at(len(in)) {
		w.parseAhead(in, w.quantum, parse)
	}
	return w.parsed.at(len(in))
}

// another says, when a request was answered that has been parsed ahead, whether the next one was parsed too and may be answered in the same step.
func (w *Worker) another() bool {
	a := &w.parsed
	if w.full || w.quantum <= 1 || a.next == a.head || a.few() {
		return false
	}
	w.quantum--
	return true
}

// stepAhead asks for one more item.
func (w *Worker) stepAhead() {
	w.parsed.key(w.parsed.near).approach.Step(w.st)
	w.parsed.near++
}

// take gives the next key, and asks for the items of some behind it: not for all at once, see store.Approach.
func (w *Worker) take() *parsedKey {
	a := &w.parsed
	if a.near != a.head && a.near-a.next < aheadItems {
		if w.stepAhead(); a.near != a.head && a.near-a.next < aheadItems {
			w.stepAhead()
		}
	}
	if a.near-a.next > aheadOverflow {
		a.key(a.next + aheadOverflow).approach.Step(w.st)
	}
	a.next++
	return a.key(a.next - 1)
}

// Prefetch asks the processor for what Data will read for inputs of different connections that the caller is about to give it. It looks only
// at the first request of an input, and not at a get that more follows, for which parseAhead does the same. It does not know what the
// connections are in the middle of; what it takes for a key and is none costs a memory access.
func (w *Worker) Prefetch(inputs [][]byte) {
	var hashes [contract.PrefetchMax]uint64
	n := 0
	for _, in := range inputs {
		if key := firstKey(in); len(key) > 0 && n < len(hashes) {
			hashes[n] = w.st.Hash(key)
			n++
		}
	}
	var approaches [contract.PrefetchMax]store.Approach
	for i, hash := range hashes[:n] {
		w.st.Approach(&approaches[i], hash)
	}
	for i := range n {
		approaches[i].Step(w.st)
	}
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
