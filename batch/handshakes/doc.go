// Package handshakes runs the TLS handshakes of new connections, off the channels: a [Pool] takes an accepted descriptor, has package
// handshake do the handshake, and gives the descriptor back.
//
//	pool := handshakes.New(server, 256, 10*time.Second, log)
//	pool.Start(fd, handshake.PeerByMode, func(result handshake.Result, ok bool) { ... })
//
// # A connection's way
//
//	silent     the client has sent nothing yet. It costs some 350 bytes, and no slot
//	queued     its first bytes are here, and it waits for a slot, first come, first served
//	running    it has a slot: the handshake runs, or waits for the client
//	lingering  the handshake failed: the client has its alert, and what it still sends is discarded for a moment. Without
//	           that the kernel would answer input that nobody read by a reset, which can overtake the alert
//
// Silent, queued and running together last at most the pool's timeout, counted from Start.
//
// # Threads
//
// A handshake is a millisecond of arithmetic, a hundred times what a request costs. On the threads of the channels, or on others of the
// same priority, it would make every request wait that comes meanwhile. So the pool has threads of its own (thread.go) with a
// lower priority: the kernel preempts them as soon as a channel has something to do.
//
// Each thread has an epoll set, and runs each handshake as a coroutine: crypto/tls reads and writes a [net.Conn] (conn.go) that switches
// back to the thread's loop when the kernel has no bytes for it. The threads share out connections and slots evenly. Goroutines on the runtime's own poller would do as well, were it not
// for the priority: the runtime runs them on any thread.
//
// The pool starts its threads with the first connection, and needs a descriptor for each epoll set and another to wake it.
package handshakes
