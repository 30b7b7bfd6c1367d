package keyhash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// formula is Hash as its description has it, in numbers without an end.
func (k *Secrets) formula(key []byte) uint64 {
	word := func(v uint64) *big.Int { return new(big.Int).SetUint64(v) }
	plus := func(a, b uint64) *big.Int { return word(a + b) }
	part := func(b []byte) uint64 {
		var full [8]byte
		copy(full[:], b)
		return binary.LittleEndian.Uint64(full[:])
	}
	n := len(key)
	pairs := make([][2]uint64, 1)
	switch {
	case n > 16:
		for at := 0; at < n-16; at += 16 {
			pairs = append(pairs, [2]uint64{part(key[at : at+8]), part(key[at+8 : at+16])})
		}
		pairs[0] = [2]uint64{part(key[n-16 : n-8]), part(key[n-8:])}
	case n >= 8:
		pairs[0] = [2]uint64{part(key[:8]), part(key[n-8:])}
	case n >= 4:
		pairs[0] = [2]uint64{part(key[:4]), part(key[n-4:])}
	case n > 0:
		pairs[0] = [2]uint64{part(key[:1]), part([]byte{key[n-1], key[n/2]})}
	}
	sum := new(big.Int)
	for i, p := range pairs {
		sum.Add(sum, new(big.Int).Mul(plus(p[0], k.W[2*i]), plus(p[1], k.W[2*i+1])))
	}
	sum.Add(sum, new(big.Int).Lsh(new(big.Int).Mul(word(uint64(n)), word(k.Length)), 64))
	halves := func(v *big.Int) (lo, hi uint64) {
		raw := v.FillBytes(make([]byte, 64))
		return binary.BigEndian.Uint64(raw[56:]), binary.BigEndian.Uint64(raw[48:])
	}
	lo, hi := halves(sum)
	x, y := halves(new(big.Int).Mul(plus(lo, k.X), plus(hi, k.Y)))
	upper := func(x uint64, a [2]uint64) uint64 {
		number := new(big.Int).Add(new(big.Int).Lsh(word(a[1]), 64), word(a[0]))
		_, hi := halves(number.Mul(number, word(x)))
		return hi
	}
	return upper(x, k.A) + upper(y, k.B)
}

// TestHashIsItsFormula, for keys of all lengths: what is known of the formula holds for the code, and it reads the key and nothing else.
func TestHashIsItsFormula(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range LongestKey + 1 {
		for range 20 {
			k := New(random.Uint64())
			around := make([]byte, n+32)
			for i := range around {
				around[i] = byte(random.Uint32())
			}
			key := around[16 : 16+n : 16+n]
			if got, want := k.Hash(key), k.formula(key); got != want {
				t.Fatalf("%d bytes: %#x, want %#x", n, got, want)
			}
		}
	}
	k := New(1)
	long := bytes.Repeat([]byte("k"), 2*LongestKey)
	if k.Hash(long) == k.Hash(long[:LongestKey-1]) {
		t.Error("a key that is too long")
	}
}

// TestHashTellsApart keys that differ in one bit, or in length alone.
func TestHashTellsApart(t *testing.T) {
	k := New(3)
	for _, fill := range []byte{0, 'k', 0xff} {
		seen := map[uint64]string{}
		meet := func(key []byte, what string) {
			h := k.Hash(key)
			if other, ok := seen[h]; ok {
				t.Errorf("%#x: %s has the hash of %s", fill, what, other)
			}
			seen[h] = what
		}
		for n := range LongestKey + 1 {
			key := bytes.Repeat([]byte{fill}, n)
			meet(key, fmt.Sprint(n, " bytes"))
			for bit := range 8 * n {
				key[bit/8] ^= 1 << (bit % 8)
				meet(key, fmt.Sprint(n, " bytes, bit ", bit))
				key[bit/8] ^= 1 << (bit % 8)
			}
		}
	}
}

// TestHashSpreads keys that have an order, as evenly as a lottery does: over buckets, over tags, and over what eviction remembers.
func TestHashSpreads(t *testing.T) {
	const count, places = 1 << 14, 1 << 8
	word := func(key []byte, at int, v uint64) []byte {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		copy(key[at:], b[:])
		return key
	}
	sets := map[string]func(i int) []byte{
		"numbers":         func(i int) []byte { return fmt.Append(nil, i) },
		"padded":          func(i int) []byte { return fmt.Appendf(nil, "key:%016d", i) },
		"of four bytes":   func(i int) []byte { return word(make([]byte, 4), 0, uint64(i)) },
		"top bits":        func(i int) []byte { return word(make([]byte, 8), 0, uint64(i)<<50) },
		"zeros and a bit": func(i int) []byte { return word(make([]byte, 16), 0, uint64(i)<<32) },
		"long, beginning": func(i int) []byte { return word(make([]byte, LongestKey), 0, uint64(i)) },
		"long, middle":    func(i int) []byte { return word(make([]byte, LongestKey), 120, uint64(i)) },
		"long, end":       func(i int) []byte { return word(make([]byte, LongestKey), LongestKey-8, uint64(i)) },
		"long, twice":     func(i int) []byte { return word(word(make([]byte, LongestKey), 0, uint64(i)), 128, -uint64(i)) },
		"long, text": func(i int) []byte {
			return fmt.Appendf(bytes.Repeat([]byte("directory/"), 23), "%020d", i)
		},
	}
	for name, key := range sets {
		for seed := range uint64(20) {
			k := New(seed + 1)
			for _, shift := range []uint{0, 8, 24, 40, 56} {
				var n [places]int
				for i := range count {
					n[k.Hash(key(i))>>shift%places]++
				}
				var chi float64
				for _, n := range n {
					d := float64(n) - count/places
					chi += d * d / (count / places)
				}
				// Chi-squared has a mean of places-1 and a variance of twice that.
				if z := (chi - (places - 1)) / math.Sqrt(2*(places-1)); z > 7 {
					t.Errorf("%s, seed %d, bits from %d: %.1f standard deviations from even", name, seed+1, shift, z)
				}
			}
		}
	}
}
