package gonet

import (
	"net"
	"slices"
	"sync"

	"ringcached/internal/contract"
)

const (
	// repliesMax is when replies are Full, in bytes, and referencesMax in values: writev(2) takes 1024 pieces.
	repliesMax    = 256 << 10
	referencesMax = 500
	// keepMax is the largest buffer that is kept for others' replies.
	keepMax = 1 << 20
)

// replies is a contract.Replies: pieces of memory, of which some lie in the store.
type replies struct {
	buf        []byte
	begun      int         // of buf: where what is not in pieces begins
	pieces     net.Buffers // in order
	references []uint64    // the pieces of the store
	bytes      int         // of all
	unsent     net.Buffers // what writeTo has left of pieces
}

var _ contract.Replies = (*replies)(nil)

var replyPool = sync.Pool{New: func() any { return new(replies) }}

// Reserve implements contract.Replies. Pieces stay where they are when buf moves.
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

// cut makes what was committed a piece.
func (r *replies) cut() {
	if r.begun < len(r.buf) {
		r.pieces = append(r.pieces, r.buf[r.begun:])
		r.begun = len(r.buf)
	}
}

// Reference implements contract.Replies.
func (r *replies) Reference(p []byte, ref uint64) {
	r.cut()
	r.pieces, r.references = append(r.pieces, p), append(r.references, ref)
	r.bytes += len(p)
}

// Full implements contract.Replies.
func (r *replies) Full() bool { return r.bytes >= repliesMax || len(r.references) >= referencesMax }

// writeTo writes all pieces.
func (r *replies) writeTo(nc net.Conn) (err error) {
	if r.cut(); len(r.pieces) == 1 {
		_, err = nc.Write(r.pieces[0])
		return err
	}
	r.unsent = r.pieces
	_, err = r.unsent.WriteTo(nc)
	return err
}

// reset empties r for others.
func (r *replies) reset() {
	r.buf, r.begun, r.pieces, r.references, r.bytes = r.buf[:0], 0, r.pieces[:0], r.references[:0], 0
	if cap(r.buf) > keepMax {
		r.buf = nil
	}
}
