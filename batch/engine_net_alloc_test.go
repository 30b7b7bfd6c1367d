//go:build !race

// Under the race detector a sync.Pool forgets at random.

package batch

import (
	"io"
	"testing"

	"ringcached/internal/contract"
)

// fixed answers every byte with a reply of two pieces, one of them by reference.
type fixed struct {
	*lines
}

func (h fixed) Data(_ uint32, in []byte, out contract.Replies) (int, contract.Next) {
	for range in {
		out.Commit(copy(out.Reserve(3)[:3], "new"))
		h.refs.Add(1)
		out.Reference(h.mem[:3], 7)
	}
	return len(in), contract.More
}

// TestNetAllocates: a request costs no garbage.
func TestNetAllocates(t *testing.T) {
	s := prepare(t, useNet)
	for _, sh := range s.net.shards {
		sh.handler = fixed{sh.handler.(*lines)}
	}
	s.run()
	c := s.dial()
	request, reply := []byte("x"), make([]byte, 6)
	ask := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, reply); err != nil || string(reply) != "newabc" {
			t.Fatalf("%q, %v", reply, err)
		}
	}
	if n := testing.AllocsPerRun(2000, ask); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
}
