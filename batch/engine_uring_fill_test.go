package batch

import (
	"testing"
	"unsafe"

	"ringcached/internal/contract"
	"ringcached/ring"
)

// pieces is a Handler whose Room is in several pieces.
type pieces struct {
	contract.Handler
	room [][]byte
}

func (p pieces) UploadBuffer(_ uint32, parts [][]byte) [][]byte {
	return append(parts, p.room[:min(len(p.room), cap(parts))]...)
}

// TestFillNamesNoMessage: a receive into memory in pieces must not be a recvmsg whose msghdr lies where
// replies are composed, since the kernel writes to it when it completes.
func TestFillNamesNoMessage(t *testing.T) {
	room := [][]byte{make([]byte, 4000), make([]byte, 4000)}
	ch := &channel{conns: newConnTable(testAccount().of.mapMemory), handler: pieces{room: room}, parts: make([][]byte, 0, fillParts)}
	defer ch.conns.close()
	var got, want ring.SQE
	(&uringEngine{ch: ch}).prepFill(&got, ch.conns.take(5), true)
	want.PrepRecvInto(5, unsafe.Pointer(&room[0][0]), 4000, true)
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
