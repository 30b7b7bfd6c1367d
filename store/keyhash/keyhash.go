package keyhash

import (
	crypto "crypto/rand"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// Secrets are the numbers that Hash is keyed with. The zero Secrets give every key the hash 0. The fields are exported so that
// encoding/binary can write them.
type Secrets struct {
	A, B   [2]uint64 // of step 3, lower half first
	X, Y   uint64    // of step 2
	Length uint64    // of step 1, here and below
	W      [hashWords]uint64
}

// LongestKey is the length in bytes of the longest key that Hash tells apart from others: it has no secrets for more.
const LongestKey = 250

// hashWords is how many words the longest key has: a pair for each 16 bytes.
const hashWords = (LongestKey + 15) / 16 * 2

// New draws secrets at random, or derives them from a seed that is not 0.
func New(seed uint64) (k Secrets) {
	raw := make([]byte, binary.Size(k))
	if seed == 0 {
		_, _ = crypto.Read(raw) // it never fails: it ends the process first
	} else {
		src := rand.NewPCG(seed, 0)
		for i := 0; i < len(raw); i += 8 {
			binary.LittleEndian.PutUint64(raw[i:], src.Uint64())
		}
	}
	_, _ = binary.Decode(raw, binary.LittleEndian, &k)
	return k
}

// Hash is the hash of key, of which it reads LongestKey bytes at the most.
func (k *Secrets) Hash(key []byte) uint64 {
	var x, y, hi, lo uint64 // the last pair, and the sum over the others
	p, n := unsafe.Pointer(unsafe.SliceData(key)), len(key)
	switch {
	case n > 16:
		n = min(n, LongestKey)
		last := unsafe.Add(p, n-16)
		x, y = load64(last, 0), load64(last, 8)
		hi, lo = bits.Mul64(load64(p, 0)+k.W[2], load64(p, 8)+k.W[3])
		w := unsafe.Pointer(&k.W[4])
		for p = unsafe.Add(p, 16); uintptr(p) < uintptr(last); p, w = unsafe.Add(p, 16), unsafe.Add(w, 16) {
			h, l := bits.Mul64(load64(p, 0)+load64(w, 0), load64(p, 8)+load64(w, 8))
			var carry uint64
			lo, carry = bits.Add64(lo, l, 0)
			hi, _ = bits.Add64(hi, h, carry)
		}
	case n >= 8:
		x, y = load64(p, 0), load64(p, n-8)
	case n >= 4:
		x, y = load32(p, 0), load32(p, n-4)
	case n > 0:
		x, y = uint64(key[0]), uint64(key[n/2])<<8|uint64(key[n-1])
	}
	h, l := bits.Mul64(x+k.W[0], y+k.W[1])
	lo, carry := bits.Add64(lo, l, 0)
	hi, _ = bits.Add64(hi, h, carry)

	y, x = bits.Mul64(lo+k.X, hi+uint64(n)*k.Length+k.Y)

	h, _ = bits.Mul64(x, k.A[0])
	l, _ = bits.Mul64(y, k.B[0])
	return h + x*k.A[1] + l + y*k.B[1]
}

func load64(p unsafe.Pointer, at int) uint64 { return *(*uint64)(unsafe.Add(p, at)) }
func load32(p unsafe.Pointer, at int) uint64 { return uint64(*(*uint32)(unsafe.Add(p, at))) }
