package record

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"golang.org/x/crypto/chacha20poly1305"
)

var errNoTLS = errors.New("the connection has no TLS")

// newAEAD expands a key on the Go heap.
func newAEAD(s suite, key []byte) (cipher.AEAD, error) {
	switch s {
	case noSuite:
		return nil, errNoTLS
	case chacha:
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	defer zeroValue(block) // cipher.NewGCM copies it
	return cipher.NewGCM(block)
}

// expand expands a key into mem, which is aligned to 16 bytes, and returns an AEAD that uses it there; what was on the Go heap on the way is zeroed. inMem is
// false if the kind of AEAD that Go has on this machine does not allow it: it has pointers, which the garbage collector would not see, or is too large.
// Then the AEAD is an object on the Go heap, and zeroValue zeroes it later.
func expand(s suite, key, mem []byte) (aead cipher.AEAD, inMem bool) {
	aead, err := newAEAD(s, key)
	if err != nil {
		panic(fmt.Sprintf("record: expand a key: %v", err)) // the caller is wrong
	}
	t := movable[s]
	if t == nil || int(t.Size()) > len(mem) {
		return aead, false
	}
	from := reflect.ValueOf(aead).Elem()
	to := reflect.NewAt(t, unsafe.Pointer(unsafe.SliceData(mem)))
	to.Elem().Set(from)
	from.SetZero()
	return to.Interface().(cipher.AEAD), true
}

// movable is the type behind the pointer that an AEAD of a suite is, if its bytes are all there is to it; otherwise nil.
var movable = func() (types [chacha + 1]reflect.Type) {
	for s := aes128; s <= chacha; s++ {
		aead, err := newAEAD(s, make([]byte, s.keyLen()))
		if err != nil {
			continue // expand says so when it is needed
		}
		if t := reflect.TypeOf(aead); t.Kind() == reflect.Pointer && pointerFree(t.Elem()) && t.Elem().Align() <= checkLen {
			types[s] = t.Elem()
		}
	}
	return types
}()

// pointerFree says that values of type t are plain bytes.
func pointerFree(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return pointerFree(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !pointerFree(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	}
	return false
}

// zeroValue overwrites what v, a pointer, points to. Of a type with pointers it zeroes what lies in the object itself.
func zeroValue(v any) {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		p.Elem().SetZero()
	}
}
