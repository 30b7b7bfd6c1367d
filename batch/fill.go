package batch

import (
	"unsafe"

	"ringcached/internal/contract"
)

const (
	// fillParts is how many pieces of memory one receive fills at most.
	fillParts = 64
	// bulkyInput is how much a connection whose requests have large values is sent in one
	// receive, header and all: what is received beyond the header has to be copied.
	bulkyInput = 2 << 10
)

// fills reports that what c receives next goes straight into memory of the Handler's.
func (c *conn) fills() bool { return c.is(stateFill) && c.stash == 0 }

// room is the memory that c's next bytes belong in, up to most pieces of it. It is valid until the next call.
func (ch *channel) room(c *conn, most int) [][]byte {
	return ch.handler.UploadBuffer(c.slot, ch.parts[:0:most])
}

// fillMessage names the parts for a recvmsg, in memory of the arena; nil: there is none.
func (o *Output) fillMessage(parts [][]byte) unsafe.Pointer {
	msg, vec := o.message(len(parts))
	for i := range vec {
		p := parts[i]
		vec[i] = iovec{uintptr(unsafe.Pointer(unsafe.SliceData(p))), len(p)}
	}
	return msg
}

// filled takes n bytes of c's input that were received into memory of the Handler's.
func (ch *channel) filled(c *conn, n int) {
	ch.stats.bytesRead += uint64(n)
	ch.stats.bytesFilled += uint64(n)
	c.active = ch.second
	if c.is(stateFinishing | stateReleasing) {
		return
	}
	ch.out.begin(c)
	switch ch.handler.UploadAdvance(c.slot, n, ch.out) {
	case contract.Upload:
		return
	case contract.Crowded:
		ch.endUnwanted()
	}
	c.state &^= stateFill
}
