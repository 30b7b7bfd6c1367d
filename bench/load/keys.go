package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"

	"ringcached/bench/zipf"
)

// KeySpace names the items of a run. Key i is "k" and i in decimal, padded with zeros to a fixed length; its value
// follows from i alone, so that a reply can be checked without remembering what was stored.
//
// A value is eight bytes mixed from i, then a stretch of one fixed pattern that begins at an offset which i gives.
// The bytes are arbitrary, so line ends and protocol words inside of values are nothing special to a correct server
// and fatal to a wrong one.
type KeySpace struct {
	count   int
	keySize int
	size    int    // of each value, bytes
	names   []byte // all keys, one after another
	pattern []byte // PatternPeriod+size bytes
}

const (
	PatternPeriod = 1 << 16
	StampSize     = 8       // bytes of a value that come from its key alone
	MaxKeySize    = 250     // the protocol's limit
	maxKeyMemory  = 1 << 30 // bytes of key names: a mistyped --keys is refused instead of swallowing the machine
)

// NewKeySpace makes keys number 0 to count-1 of keySize bytes, each with a value of valueSize bytes that follows from
// its number.
func NewKeySpace(count, keySize, valueSize int) *KeySpace {
	k := &KeySpace{count: count, keySize: keySize, size: valueSize}
	k.names = make([]byte, 0, count*keySize)
	for i := range count {
		k.names = AppendKey(k.names, 'k', uint32(i), 10, keySize)
	}
	k.pattern = make([]byte, PatternPeriod+valueSize+8)
	for i := 0; i+8 <= len(k.pattern); i += 8 {
		binary.LittleEndian.PutUint64(k.pattern[i:], Mix(uint64(i)+1))
	}
	return k
}

// minKeySize is the length of the shortest key size that holds count different keys.
func minKeySize(count int) int {
	return len(fmt.Sprint(max(count-1, 0))) + 1
}

func (k *KeySpace) key(i uint32) []byte {
	at := int(i) * k.keySize
	return k.names[at : at+k.keySize : at+k.keySize]
}

var zeros = strings.Repeat("0", MaxKeySize)

// AppendKey appends a key of a size: a letter, and a number that fits into the rest, padded with zeros.
func AppendKey(dst []byte, letter byte, number uint32, base, size int) []byte {
	var most [32]byte
	digits := strconv.AppendUint(most[:0], uint64(number), base)
	return append(append(append(dst, letter), zeros[:size-1-len(digits)]...), digits...)
}

// AppendValue appends the value of key i.
func (k *KeySpace) AppendValue(dst []byte, i uint32) []byte {
	h := Mix(uint64(i))
	var stamp [StampSize]byte
	binary.LittleEndian.PutUint64(stamp[:], h)
	dst = append(dst, stamp[:min(StampSize, k.size)]...)
	if k.size > StampSize {
		at := h % PatternPeriod
		dst = append(dst, k.pattern[at:at+uint64(k.size-StampSize)]...)
	}
	return dst
}

// Differs compares p with the value of key i from offset off on and returns the position in p of the first byte that
// is not as it should be, or -1. off+len(p) must not exceed the value's size.
func (k *KeySpace) Differs(p []byte, i uint32, off int) int {
	h, done := Mix(uint64(i)), 0
	if off == 0 && len(p) >= StampSize && binary.LittleEndian.Uint64(p) == h { // all at once, as nearly always
		done = StampSize
	}
	for ; off+done < StampSize && done < len(p); done++ {
		if p[done] != byte(h>>(8*(off+done))) {
			return done
		}
	}
	want := k.pattern[max(int(h%PatternPeriod)+off+done-StampSize, 0):]
	if bytes.HasPrefix(want, p[done:]) {
		return -1
	}
	for ; p[done] == want[0]; done++ {
		want = want[1:]
	}
	return done
}

// Mix is the finalizer of splitmix64: one 64-bit number in, one that looks random out.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Key distributions by the names that the command line uses.
const (
	Uniform = "uniform"
	Zipf    = "zipf"
)

// picker returns what draws the numbers of keys from src.
func (w *Workload) picker(src *rand.PCG) func() uint32 {
	if w.KeyDist == Zipf {
		return zipf.New(src, w.Keys, w.ZipfS).Draw
	}
	n := uint64(w.Keys)
	return func() uint32 { // the bias of the high word is n/2^64, far below what any run could show
		hi, _ := bits.Mul64(src.Uint64(), n)
		return uint32(hi)
	}
}
