package proto

import (
	"bytes"
	"math"
	"strconv"
	"testing"
	"time"
	"unsafe"
)

func TestParseUint(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "007": 7, "4294967295": math.MaxUint32, "18446744073709551615": math.MaxUint64} {
		if got, ok := parseUint([]byte(text), math.MaxUint64); !ok || got != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-1", "+1", " 1", "1 ", "1x", "18446744073709551616", "99999999999999999999", "184467440737095516150", "00000000000000000000005"} {
		if got, ok := parseUint([]byte(text), math.MaxUint64); ok {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
	for _, text := range []string{"4294967296", "000000000005"} {
		if got, ok := parseUint([]byte(text), math.MaxUint32); ok {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
}

func TestParseInt32(t *testing.T) {
	for _, want := range []int32{0, 1, -1, math.MaxInt32, math.MinInt32} {
		if got, ok := parseInt32([]byte(strconv.Itoa(int(want)))); !ok || got != want {
			t.Errorf("%d: %d %v", want, got, ok)
		}
	}
	for _, text := range []string{"", "--1", "+1", "2147483648", "-2147483649", "1.5", "000000000005", "-00000000005"} {
		if got, ok := parseInt32([]byte(text)); ok {
			t.Errorf("%q was taken for %d", text, got)
		}
	}
}

func TestTokenEnd(t *testing.T) {
	for length := range 40 {
		for at := range length {
			for _, stop := range []byte{0, '\n', '\r', '\t', ' '} {
				for _, fill := range []byte{'!', 'a', 0x7f, 0x80, 0xa0, 0xa1, 0xff} {
					b := bytes.Repeat([]byte{fill}, length)
					b[at] = stop
					for p := range at + 1 {
						if got := tokenEnd(b, p); got != at {
							t.Fatalf("%q from %d: %d, want %d", b, p, got, at)
						}
					}
					if got := tokenEnd(b, at+1); got != length {
						t.Fatalf("%q from %d: %d, want %d", b, at+1, got, length)
					}
				}
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	s := NewServer(nil, Config{Start: start})
	const now = 1002 // 1000 seconds after the start
	for at, want := range map[int64]uint32{
		-1:             1,
		math.MinInt32:  1,
		1:              now + 1,
		2_592_000:      now + 2_592_000,
		2_592_001:      1,
		1_699_999_998:  1,
		1_700_000_000:  2,
		1_700_001_000:  now,
		1_700_001_001:  now + 1,
		math.MaxInt32:  math.MaxInt32 - 1_700_000_000 + 2,
		math.MaxUint32: math.MaxUint32 - 1_700_000_000 + 2,
	} {
		if got := s.second(at, now); got != want {
			t.Errorf("%d: %d, want %d", at, got, want)
		}
	}
}

func TestSessionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > 32 {
		t.Errorf("%d bytes", n)
	}
}

func TestCommandNames(t *testing.T) {
	for i := range commands {
		c := &commands[i]
		if find([]byte(c.name)) != c {
			t.Errorf("%s is not found", c.name)
		}
		if c.min < 1 || c.min > maxArgs {
			t.Errorf("%s: %d words", c.name, c.min)
		}
	}
	for _, name := range []string{"", "g", "GET", "geta", "flush_al", "flush_all_", "a name longer than any"} {
		if find([]byte(name)) != nil {
			t.Errorf("%q is a command", name)
		}
	}
}
