package gonet

import (
	"net"
	"slices"

	"ringcached/internal/contract"
)

const (
	// repliesMax is when replies are Full, in bytes, and referencesMax in values: writev(2) takes 1024 pieces.
	repliesMax    = 256 << 10
	referencesMax = 500
	// keepMax is the largest buffer that is kept for others' replies.
	keepMax = 1 << 20
)

// replies is a contract.Replies: a buffer, and places in it where values of the store belong.
type replies struct {
	buf        []byte
	references []reference
	bytes      int // of buf and of what is referenced

	unsent net.Buffers // what writeTo has not written
	pieces [][]byte    // memory of unsent
}

// reference is a value that lies in the store.
type reference struct {
	at    int // in buf
	value []byte
	ref   uint64
}

var _ contract.Replies = (*replies)(nil)

// Reserve implements contract.Replies.
func (r *replies) Reserve(n int) []byte {
	if n > contract.ReserveMax {
		panic("gonet: more room asked for than contract.ReserveMax")
	}
	r.buf = slices.Grow(r.buf, n)
	return r.buf[len(r.buf):]
}

// Commit implements contract.Replies.
func (r *replies) Commit(n int) {
	r.buf = r.buf[:len(r.buf)+n]
	r.bytes += n
}

// Reference implements contract.Replies.
func (r *replies) Reference(p []byte, ref uint64) {
	r.references = append(r.references, reference{len(r.buf), p, ref})
	r.bytes += len(p)
}

// Full implements contract.Replies.
func (r *replies) Full() bool { return r.bytes >= repliesMax || len(r.references) >= referencesMax }

// begin puts the pieces together for writeTo.
func (r *replies) begin() {
	r.pieces = r.pieces[:0]
	at := 0
	for i := range r.references {
		if to := r.references[i].at; to > at {
			r.pieces = append(r.pieces, r.buf[at:to])
			at = to
		}
		r.pieces = append(r.pieces, r.references[i].value)
	}
	if at < len(r.buf) {
		r.pieces = append(r.pieces, r.buf[at:])
	}
	r.unsent = r.pieces
}

// writeTo writes what is unsent, and returns how much the socket took.
func (r *replies) writeTo(nc net.Conn) (n int64, err error) {
	if len(r.unsent) != 1 {
		return r.unsent.WriteTo(nc) // leaves the rest in unsent
	}
	k, err := nc.Write(r.unsent[0])
	r.unsent[0] = r.unsent[0][k:]
	return int64(k), err
}

// reset empties r for others.
func (r *replies) reset() {
	r.buf, r.references, r.bytes = r.buf[:0], r.references[:0], 0
	if cap(r.buf) > keepMax {
		r.buf = nil
	}
}
