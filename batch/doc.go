// Package batch is the server's network half: a channel for each core, which
// owns that core's listening sockets, its connections and its event loop, and does
// its I/O in batches, as MegaPipe (Han et al., OSDI 2012) proposed.
//
// A Server holds the channels. Each runs on a thread of its own and shares nothing
// with the others on the way of a request. One iteration of its loop (loop.go):
//
//	poll      one system call submits what the last iteration queued and brings a batch of
//	          completions (uring.go) or of ready sockets (epoll.go)
//	input     each connection's bytes go to the Handler, which writes its replies
//	          into the channel's Output (input.go, output.go)
//	ready     connections that have more requests than fit into their quantum get
//	          further quanta, after all others had theirs (input.go)
//	push      the Handler writes to connections that asked for nothing (loop.go)
//	flush     all replies of a connection in the batch leave in one send (output.go)
//
// The kernel spreads new connections over the channels (listen.go), and a channel passes
// them on to one that has fewer (accept.go).
//
// An idle connection is a record of fixed size (conn.go) and owns no buffer: the kernel
// receives into buffers that all connections share, and the channel writes replies into an
// arena that it empties in every iteration. Only two things borrow memory, both bounded: an
// input buffer, for a request that arrived in part or has to wait (input.go), and a send
// queue, for replies that the peer does not take (output.go). A connection that is idle for
// long is parked, so that the kernel too holds less for its next receive (uring_receive.go).
//
// What a connection is doing stands in its record as four states, with a table of the
// legal changes of each (conn.go).
//
// The rest of a large value is an upload: it is received straight into the Handler's memory
// (input.go, uring_receive.go).
//
// A connection that speaks TLS has its handshake off the channels (batch/handshakes). After that its records are
// opened where they were received (tls_receive.go) and sealed in the arena (tls_send.go), and it is one like any other.
//
// A server can take its listening sockets from another process (listen.go) and give them to
// another (server.go), and no connection that waits in a socket's queue is lost.
//
// The engines differ in nothing but the kernel interface, behind the small interface
// engine (loop.go): what is measured between them is io_uring against epoll.
//
// What the bytes mean is the Handler's business.
package batch
