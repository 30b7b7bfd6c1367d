// Package batch is the server's network half: a channel for each core, which
// owns that core's listening sockets, its connections and its event loop, and does
// its I/O in batches, as MegaPipe (Han et al., OSDI 2012) proposed.
//
// A Server holds the channels. Each runs on a thread of its own and shares nothing
// with the others on the way of a request:
//
//	poll      one system call submits what the last turn queued and brings a batch of
//	          completions (uring.go) or of ready sockets (epoll.go)
//	input     each connection's bytes go to the Handler, which answers into the
//	          channel's Output (input.go, output.go)
//	ready     connections that have more requests than their turn allows get
//	          further turns, after everybody else had theirs (input.go)
//	push      the Handler writes to connections that are told things unasked (loop.go)
//	flush     what a connection earned in the batch leaves in one send (output.go)
//
// New connections are spread over the channels by the kernel (listen.go, accept.go), and
// passed on to those that have few (accept.go).
//
// An idle connection is a record of fixed size (conn.go) and owns no buffer: input
// lies in buffers that the kernel was lent, or in a few of the channel, and output
// in an arena that the channel fills and empties in every turn. Only a request that
// arrived in part (a stash) and a reply that the peer does not take (a backlog)
// borrow memory, both bounded. When a connection is idle for long, the kernel too lets
// go of what it holds for the next receive (uring_receive.go).
//
// What the Handler expects much of, the rest of a large value, is received straight into
// its memory (input.go, uring_receive.go).
//
// What is listened on can come from another process (listen.go) and be given to
// another (server.go), without a connection that waits in a socket's queue being lost.
//
// The engines differ in nothing but the kernel interface, behind the small interface
// engine: what is measured between them is io_uring against epoll.
//
// What the bytes mean is the Handler's business.
package batch
