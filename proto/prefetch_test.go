package proto

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestFirstKey: which input's key is prefetched. Whatever the input is, nothing goes wrong.
func TestFirstKey(t *testing.T) {
	long := strings.Repeat("k", maxKey)
	for _, c := range []struct{ in, key string }{
		{"get a\r\n", "a"},
		{"get key", "key"}, // the rest comes
		{"get " + long + "\r\n", long},
		{"get " + long + "kk\r\n", ""}, // not worth it
		{"set key 0 0 5\r\nvalue\r\n", "key"},
		{"add key 0 0 5\r\nvalue\r\nget a\r\n", "key"},
		{"mg key v\r\n", "key"},
		{"ms key 5\r\nvalue\r\n", "key"},
		{"get a\r\nget b\r\n", ""}, // is prefetched by parseAhead
		{"get a b\r\n", ""},        // likewise
		{rawFrame(0x00, "", "key", ""), "key"},
		{rawFrame(0x01, "12345678", "key", "value"), "key"},
		{rawFrame(0x01, "12345678", "key", "value")[:headerLen+8+3], "key"},
		{rawFrame(0x01, "12345678", "key", "value")[:headerLen+8+2], ""},
		{rawFrame(0x00, "", "key", "")[:headerLen-1], ""},
		{rawFrame(0x00, "", long, ""), long},
		{rawFrame(0x00, "", long+"k", ""), ""},
		{"", ""},
		{"mn\r\n", ""},
		{"version\r\n", ""},
		{"get    ", ""},
		{"\x80" + strings.Repeat("\xff", 100), ""},
	} {
		if key := firstKey([]byte(c.in)); string(key) != c.key {
			t.Errorf("%q: prefetches %q; want %q", c.in, key, c.key)
		}
	}
}

// rawFrame is a binary request.
func rawFrame(opcode byte, extras, key, value string) string {
	b := make([]byte, headerLen, headerLen+len(extras)+len(key)+len(value))
	b[0], b[1], b[4] = magicRequest, opcode, byte(len(extras))
	binary.BigEndian.PutUint16(b[2:], uint16(len(key)))
	binary.BigEndian.PutUint32(b[8:], uint32(len(extras)+len(key)+len(value)))
	return string(b) + extras + key + value
}
