package batch

import (
	"testing"
	"unsafe"

	"ringcached/batch/invariants"
)

// TestConnRecord: an idle connection owns 40 bytes, and none between two chunks.
func TestConnRecord(t *testing.T) {
	if n := unsafe.Sizeof(conn{}); n > 40 {
		t.Errorf("a record has %d bytes", n)
	}
	if n := unsafe.Sizeof(conn{}) << chunkBits; n%4096 != 0 {
		t.Errorf("a chunk of %d bytes ends within a page", n)
	}
}

// TestConnTable: slots are numbered densely, the one freed last is taken first, and an event of an earlier use finds nothing.
func TestConnTable(t *testing.T) {
	table := newConnTable(testAccount().of.mapMemory)
	defer table.close()
	const n = 3<<chunkBits + 5
	for i := range n {
		if c := table.take(int32(i)); c.slot != uint32(i) || c.fd != int32(i) || c.reply != -1 {
			t.Fatalf("connection %d: %+v", i, *c)
		}
	}
	if table.find(n, 0) != nil {
		t.Error("found a connection in a slot that was never taken")
	}
	freed := []uint32{7, n - 1, 1 << chunkBits}
	for _, slot := range freed {
		table.put(table.at(slot))
	}
	for _, slot := range freed {
		if table.find(slot, 0) != nil {
			t.Errorf("slot %d is found though it is free", slot)
		}
	}
	seen := 0
	table.each(func(*conn) { seen++ })
	if seen != n-len(freed) || table.used != seen {
		t.Errorf("%d connections seen, %d counted, want %d", seen, table.used, n-len(freed))
	}
	for i := range freed {
		c := table.take(1)
		if want := freed[len(freed)-1-i]; c.slot != want || c.gen != 1 || *c != (conn{slot: want, gen: 1, fd: 1, reply: -1}) {
			t.Errorf("%+v taken, want slot %d in its second use", *c, want)
		}
	}
	if table.find(7, 0) != nil || table.find(7, 1) == nil {
		t.Error("slot 7 is found by its first use, or not by its second")
	}
	if c := table.take(1); c.slot != n {
		t.Errorf("slot %d taken, want a new one", c.slot)
	}
}

// TestIllegalTransition: a change of state that is not in the tables is a panic where invariants are checked.
func TestIllegalTransition(t *testing.T) {
	for name, change := range map[string]func(*conn){
		"released ones do not serve":      func(c *conn) { c.toLife(lifeReleasing); c.toLife(lifeServing) },
		"the end of input is final":       func(c *conn) { c.toInput(inputEOF); c.toInput(inputWanted) },
		"one receive at a time":           func(c *conn) { c.toReceive(recvPoll); c.toReceive(recvMultishot) },
		"a cancel is not cancelled":       func(c *conn) { c.toReceive(recvUpload); c.toReceive(recvCancelling) },
		"an empty send queue is not sent": func(c *conn) { c.toSend(sendDraining) },
		"nothing changes into what it is": func(c *conn) { c.toInput(inputPaused) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover() != nil; got != invariants.On {
					t.Errorf("panic: %v, want %v", got, invariants.On)
				}
			}()
			change(&conn{})
		})
	}
}
