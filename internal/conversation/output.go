package conversation

import (
	"bytes"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// Output is a contract.Replies that gathers what was replied. The zero value is ready for use.
type Output struct {
	Bytes []byte // what was replied
	// Tight lends exactly the room that was asked for and spoils it when it is no longer valid.
	Tight bool
	// Limit is how many bytes may wait before the output is Full; 0: any number. Flush takes them away.
	Limit int

	room    []byte
	flushed int // bytes that do not wait any more
	parts   []part
}

// part is something that was referenced.
type part struct {
	at  int // in Bytes
	p   []byte
	ref uint64
}

// Reserve implements contract.Replies.
func (o *Output) Reserve(n int) []byte {
	if n > contract.ReserveMax {
		panic("more room asked for than allowed")
	}
	o.spoil()
	if o.Tight {
		o.room = make([]byte, 0, n)
		return o.room
	}
	for cap(o.Bytes)-len(o.Bytes) < n {
		o.Bytes = append(o.Bytes[:cap(o.Bytes)], 0)[:len(o.Bytes)]
	}
	o.room = o.Bytes[len(o.Bytes):]
	return o.room
}

// Commit implements contract.Replies.
func (o *Output) Commit(n int) {
	if n > cap(o.room) {
		panic("more committed than reserved")
	}
	if o.Tight {
		o.Bytes = append(o.Bytes, o.room[:n]...)
	} else {
		o.Bytes = o.Bytes[:len(o.Bytes)+n]
	}
	o.spoil()
}

// Reference implements contract.Replies.
func (o *Output) Reference(p []byte, ref uint64) {
	o.spoil()
	o.parts = append(o.parts, part{len(o.Bytes), p, ref})
	o.Bytes = append(o.Bytes, p...)
}

// Full implements contract.Replies.
func (o *Output) Full() bool {
	o.spoil()
	return o.Limit > 0 && len(o.Bytes)-o.flushed >= o.Limit
}

// Discard implements contract.DatagramReplies. Flush releases what was referenced.
func (o *Output) Discard() {
	o.spoil()
	for i := range o.parts {
		o.parts[i].p = nil // their place in Bytes is others'
	}
	o.Bytes = o.Bytes[:o.flushed]
}

// spoil ends the life of the reserved room.
func (o *Output) spoil() {
	if o.Tight {
		room := o.room[:cap(o.room)]
		for i := range room {
			room[i] = '?'
		}
	}
	o.room = nil
}

// Flush makes as if everything was sent: what was referenced must not have changed, and is released.
func (o *Output) Flush(t testing.TB, w *proto.Worker) {
	for _, p := range o.parts {
		if p.p != nil && !bytes.Equal(o.Bytes[p.at:p.at+len(p.p)], p.p) {
			t.Errorf("a value changed while it was being sent")
		}
		w.Release(p.ref)
	}
	o.parts = o.parts[:0]
	o.flushed = len(o.Bytes)
}

// Reset forgets what was replied and flushed, and keeps the memory.
func (o *Output) Reset() { o.Bytes, o.flushed = o.Bytes[:0], 0 }
