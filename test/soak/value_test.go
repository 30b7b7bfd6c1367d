package soak

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"testing"
)

// A value begins with its key and a space, ends with a checksum of all before in eight hexadecimal digits, and has arbitrary bytes between.
const sumSize = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// noise is what values are cut from.
var noise = func() []byte {
	b := make([]byte, 1<<20+1<<16)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}()

// valueOf makes a value of about n bytes for the key, a different one each time.
func valueOf(r *rand.Rand, key string, n int) []byte {
	n = max(n, len(key)+1+sumSize)
	v := make([]byte, 0, n)
	v = append(append(v, key...), ' ')
	at := r.IntN(1 << 16)
	v = append(v, noise[at:at+n-len(v)-sumSize]...)
	return fmt.Appendf(v, "%08x", crc32.Checksum(v, castagnoli))
}

// checkValue says what is wrong with a value that was read under the key.
func checkValue(key string, v []byte) error {
	body, sum := v[:max(len(v)-sumSize, 0)], v[max(len(v)-sumSize, 0):]
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != crc32.Checksum(body, castagnoli) {
		return fmt.Errorf("WRONG BYTES: the value of %s, %d bytes, has another checksum than it says: %.60q", key, len(v), v)
	}
	if name, _, _ := bytes.Cut(body, []byte(" ")); string(name) != key {
		return fmt.Errorf("WRONG BYTES: the value of %s is one of %.60q", key, name)
	}
	return nil
}

func TestValuesAreChecked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 100, 100_000} {
		v := valueOf(r, "key", n)
		if err := checkValue("key", v); err != nil {
			t.Error(err)
		}
		if checkValue("other", v) == nil {
			t.Error("another key's value is taken for right")
		}
		v[len(v)/2] ^= 1
		if checkValue("key", v) == nil {
			t.Errorf("%d bytes: a changed bit is not found", n)
		}
	}
	if checkValue("key", nil) == nil || checkValue("key", []byte("key")) == nil {
		t.Error("too little is taken for a value")
	}
}
