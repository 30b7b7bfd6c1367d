//go:build !race

// Under the race detector a sync.Pool forgets at random.

package gonet

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestAllocates: a request costs no garbage, whether its value is copied or sent from where it lies.
func TestAllocates(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	for _, size := range []int{64, 20_000} {
		value := strings.Repeat("v", size)
		ask(t, c, fmt.Sprintf("set key 0 0 %d\r\n%s\r\n", size, value), "STORED\r\n")
		request, want := []byte("get key\r\n"), fmt.Sprintf("VALUE key 0 %d\r\n%s\r\nEND\r\n", size, value)
		got := make([]byte, len(want))
		n := testing.AllocsPerRun(1000, func() {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%v allocations for a get of %d bytes", n, size)
		}
	}
}
