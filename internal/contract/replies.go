package contract

// Replies is where a Handler writes its answers to one connection, in order.
type Replies interface {
	// Reserve gives room for at least n more bytes, n <= ReserveMax: a slice of length 0 whose capacity is all the room at hand. It is
	// valid until the next call of any method of Replies. Asking for more than ReserveMax panics.
	Reserve(n int) []byte
	// Commit makes the first n bytes of the reserved room part of the reply.
	Commit(n int)
	// Reference makes p part of the reply from where it lies, behind everything committed so far. p must lie outside the Go heap and stay
	// as it is until Handler.Release(ref), which is called exactly once for every Reference: p was sent, or never will be.
	Reference(p []byte, ref uint64)
	// Full reports that enough is queued for this connection: the Handler stops at the next boundary and answers Yield.
	Full() bool
}

// DatagramReplies is where the reply to a datagram goes.
type DatagramReplies interface {
	Replies
	// Discard takes back everything that was written since Handler.Datagram was called. What was referenced is released later, as ever.
	Discard()
}
