package bench

import (
	"bytes"
	"testing"
)

func TestValuesFollowFromKeys(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 9, 64, 1000, 70_000} {
		k := newKeySpace(50, 10, size)
		seen := make(map[string]bool)
		for i := range uint32(50) {
			v := k.appendValue(nil, i)
			if len(v) != size {
				t.Fatalf("size %d: key %d has a value of %d B", size, i, len(v))
			}
			if size >= stampSize && seen[string(v)] {
				t.Errorf("size %d: key %d has another key's value", size, i)
			}
			seen[string(v)] = true
			for _, cut := range []int{0, 1, 5, 8, 11, size / 2, size} {
				cut = min(cut, size)
				if at := k.differs(v[:cut], i, 0); at >= 0 {
					t.Fatalf("size %d, key %d: first %d bytes differ at %d", size, i, cut, at)
				}
				if at := k.differs(v[cut:], i, cut); at >= 0 {
					t.Fatalf("size %d, key %d: bytes from %d differ at %d", size, i, cut, at)
				}
			}
		}
	}
}

func TestEveryWrongByteIsFound(t *testing.T) {
	k := newKeySpace(10, 4, 200)
	v := k.appendValue(nil, 7)
	for i := range v {
		bad := bytes.Clone(v)
		bad[i] ^= 0x20
		if at := k.differs(bad, 7, 0); at != i {
			t.Fatalf("byte %d is wrong, differs says %d", i, at)
		}
	}
	if k.differs(v, 8, 0) < 0 {
		t.Error("another key's value was accepted")
	}
}

func TestKeysAreDistinctAndOfOneLength(t *testing.T) {
	for _, count := range []int{1, 10, 11, 1000} {
		k := newKeySpace(count, minKeySize(count), 1)
		seen := make(map[string]bool)
		for i := range count {
			key := string(k.key(uint32(i)))
			if seen[key] || len(key) != minKeySize(count) {
				t.Fatalf("%d keys: key %d is %q", count, i, key)
			}
			seen[key] = true
		}
	}
}
