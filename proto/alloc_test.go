//go:build !invariants

// The checks of the store that the tag turns on allocate.

package proto_test

import (
	"fmt"
	"strings"
	"testing"

	"ringcached/proto"
)

func incr(i int) string { return fmt.Sprintf("incr nothing-%d 1\r\n", i) }

func metaMiss(i int) string { return fmt.Sprintf("mg nothing-%d q k O%d\r\n", i, i) }
func metaDelete(i int) string {
	return fmt.Sprintf("ms memtier-%d 2 q\r\nhi\r\nmd memtier-%d q O1 k\r\n", i, i)
}
func metaArith(i int) string { return fmt.Sprintf("ma nothing-%d N0 J5 v c t\r\n", i) }
func metaCAS(i int) string   { return fmt.Sprintf("ms memtier-%d 2 E%d b c O1\r\nhi\r\n", i*4, i) }
func metaLease(i int) string { return fmt.Sprintf("mg memtier-%d N30 R30 T30 t v\r\n", i) }

// TestNoAllocations asserts what the package promises: nothing is allocated on the way of a request.
func TestNoAllocations(t *testing.T) {
	for name, request := range map[string]func(int) string{
		"get hit": getHit, "get miss": getMiss, "gets": getsHit, "set": setSmall, "multiget": multiget, "incr": incr,
		"mg hit": metaGetHit, "mg miss": metaMiss, "ms": metaSetSmall, "ms md": metaDelete, "ma": metaArith, "ms with E": metaCAS,
		"mg with all": metaLease, "Get": frameGetHit, "GetKQ miss": frameMiss, "Set": frameSetSmall, "Increment": frameIncr,
	} {
		for _, pipeline := range []int{1, 16} {
			w, inputs := sample(t, request, pipeline)
			i := 0
			if n := testing.AllocsPerRun(2000, func() {
				w.all(inputs[i%len(inputs)])
				i++
			}); n != 0 {
				t.Errorf("%s, %d at once: %v allocations", name, pipeline, n)
			}
		}
	}
}

// TestNoAllocationsWithHotKeys: looking for hot keys allocates nothing either, whether they are known or new.
func TestNoAllocationsWithHotKeys(t *testing.T) {
	w := newWorker(t, nil, hotKeysOn)
	var inputs [][]byte
	for i := range 4096 {
		inputs = append(inputs, []byte(getMiss(i)+setSmall(i%10)))
	}
	i := 0
	if n := testing.AllocsPerRun(200_000, func() {
		w.all(inputs[i%len(inputs)])
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if top := w.server.HotKeys(1); len(top) == 0 || !strings.HasPrefix(string(top[0].Name), "memtier-") {
		t.Errorf("hot keys: %v", top)
	}
}

// TestNoAllocationsForDatagrams: nor on the way of one that comes in a datagram.
func TestNoAllocationsForDatagrams(t *testing.T) {
	for name, request := range map[string]func(int) string{"get hit": getHit, "set": setSmall, "mg hit": metaGetHit, "Get": frameGetHit} {
		w, inputs := sample(t, request, 1)
		for i, in := range inputs {
			inputs[i] = append([]byte("\x00\x07\x00\x00\x00\x01\x00\x00"), in...)
		}
		if w.Datagram(inputs[0], &w.out); len(w.out.Bytes) == 0 {
			t.Errorf("%s: no reply", name)
		}
		i := 0
		if n := testing.AllocsPerRun(2000, func() {
			w.Datagram(inputs[i%len(inputs)], &w.out)
			w.EndBatch()
			w.out.Reset()
			i++
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestNoAllocationsForForgedDatagrams: whoever sends what is not answered, refused, or too large makes no garbage.
func TestNoAllocationsForForgedDatagrams(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Amplification = 4 })
	w.ask("set a 0 0 10000\r\n" + strings.Repeat("a", 10000) + "\r\n")
	for _, request := range []string{
		"ERROR\r\n", "\r\n", "set a 0 0 100\r\nhi", "get" + strings.Repeat(" a", 2000), "flush_all\r\n", "stats reset\r\n", "get a\r\n", request(0x00, 0, "", "a", ""),
		request(0x99, 0, "", "", ""), request(0x08, 0, "", "", ""),
	} {
		in := datagram(1, request)
		if n := testing.AllocsPerRun(200, func() {
			w.Datagram(in, &w.out)
			w.EndBatch()
			w.out.Flush(t, w.Worker)
			w.out.Reset()
		}); n != 0 {
			t.Errorf("%.40q: %v allocations", request, n)
		}
	}
}

func frameMiss(i int) string { return request(0x0d, 0, "", fmt.Sprintf("nothing-%d", i), "") }

func frameIncr(i int) string {
	return request(0x05, 0, "\x00\x00\x00\x00\x00\x00\x00\x01"+strings.Repeat("\x00", 12), fmt.Sprintf("nothing-%d", i), "")
}
