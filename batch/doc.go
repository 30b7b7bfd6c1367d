// Package batch is the server's network half: a channel for each core, which
// owns that core's listening sockets, its connections and its event loop, and does
// its I/O in batches, as MegaPipe (Han et al., OSDI 2012) proposed.
//
// A Server holds the channels. Each runs on a thread of its own and shares nothing
// with the others on the way of a request:
//
//	poll      one system call submits what the last turn queued and brings a batch of
//	          completions (engine_uring.go) or of ready sockets (engine_epoll.go)
//	input     each connection's bytes go to the Handler, which answers into the
//	          channel's Output (input.go, output.go)
//	ready     connections that have more requests than their turn allows get
//	          further turns, after everybody else had theirs (input.go)
//	push      the Handler writes to connections that are told things unasked (push.go)
//	flush     what a connection earned in the batch leaves in one send (flush.go)
//
// New connections are spread over the channels by the kernel (listen.go, steer.go), and
// passed on to those that have few (pass.go).
//
// An idle connection is a record of fixed size (conn.go) and owns no buffer: input
// lies in buffers that the kernel was lent, or in a few of the channel, and output
// in an arena that the channel fills and empties in every turn. Only a request that
// arrived in part (a stash) and a reply that the peer does not take (a backlog)
// borrow memory, both bounded. When a connection is idle for long, the kernel too lets
// go of what it holds for the next receive (engine_uring_park.go).
//
// What the Handler expects much of, the rest of a large value, is received straight into
// its memory (fill.go, engine_uring_fill.go).
//
// What is listened on can come from another process (inherit.go) and be given to
// another (release.go), without a connection that waits in a socket's queue being lost.
//
// The engines differ in nothing but the kernel interface, behind the small interface
// engine: what is measured between them is io_uring against epoll.
//
// What the bytes mean is the Handler's business.
package batch
