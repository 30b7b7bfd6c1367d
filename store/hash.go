package store

import (
	crypto "crypto/rand"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// hashKey holds the secret numbers of Hash.
//
// Hash cuts a key of n bytes into pairs of 64-bit words, padded with zeros, and goes through three steps, each with secrets of its own:
//
//  1. NH: it adds up (x+w)*(y+w') over all pairs (x, y) in 128 bits, and adds n times a secret to the upper half. Two different keys of
//     the same length give the same sum with probability 2^-64 at most (J. Black, S. Halevi, H. Krawczyk, T. Krovetz, P. Rogaway, "UMAC:
//     Fast and Secure Message Authentication", CRYPTO 1999), two of different lengths with 2^-57.
//  2. NH again, over the two halves of the sum. This keeps different sums different, with the same probability, and makes the result
//     depend on the key in no linear way.
//  3. Multiply-shift: of each half times a secret of 128 bits it takes bits 64 to 127, and adds the two. For two different inputs the
//     lowest k bits are the same with probability 2^(1-k) at most (M. Dietzfelbinger, "Universal hashing and k-wise independent random
//     variables via integer arithmetic without primes", STACS 1996).
//
// So two keys, whatever their length and bytes, share one of 2^k buckets with probability 2^(1-k) + 2^-56 at most if they were chosen without
// knowing the secrets. This is proven, for all lengths alike.
//
// The proof does not cover a client that sees the effect of hashes: the order of a dump shows which keys are neighbors. No way is
// known to compute the secrets from that, but such a client can store keys at random and keep those that are neighbors, with this hash and with any
// other. Against that client there is a limit to what one bucket holds, see chainMax.
//
// SipHash-1-3 is conjectured, not proven, to be safe against both; it costs 6 ns more for a key of 20 bytes, 1 % of a pipelined get, and 35 ns
// more for one of 250 bytes (AMD EPYC, Go 1.26). The secrets of hash/maphash cannot be kept in a file for the next process.
type hashKey struct {
	A, B   [2]uint64 // of step 3, lower half first
	X, Y   uint64    // of step 2
	Length uint64    // of step 1, here and below
	W      [hashWords]uint64
}

// hashWords is how many words the longest key has: a pair for each 16 bytes.
const hashWords = (KeyMax + 15) / 16 * 2

// newHashKey draws a key at random, or derives it from a seed that is not 0.
func newHashKey(seed uint64) (k hashKey) {
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

// Hash is the hash of a key of at most KeyMax bytes, for Lock and TryGet. A client cannot choose keys that share a bucket: see hashKey.
func (s *Store) Hash(key []byte) uint64 { return s.hashKey.hash(key) }

func (k *hashKey) hash(key []byte) uint64 {
	var x, y, hi, lo uint64 // the last pair, and the sum over the others
	p, n := unsafe.Pointer(unsafe.SliceData(key)), len(key)
	switch {
	case n > 16:
		n = min(n, KeyMax)
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
