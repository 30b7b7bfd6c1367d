// Package soak has no code but a test: a server that has too little of everything, under clients of every kind at once, well-behaved,
// slow, dying and malicious, while its limits change, it is flushed, and it hands over to new processes. Every value that anybody reads must
// be one that was stored under its key, and whenever the clients have gone the server must hold nothing that it did not hold before: no
// connection, descriptor, buffer, item, thread or memory.
//
// The test takes about twenty seconds, RINGCACHED_SOAK in the environment makes it longer:
//
//	make soak                                    # ten minutes
//	make soak SOAK=1h SOAKFLAGS="-tags invariants"   # with the server's own checks; -race has them, too
//
// Both engines have their turn at the same time. The time is divided into cycles. Each ends in a pause for what must be as it was; in the first half of the
// cycles the server is replaced under load, in the second half it is not, so that what it loses adds up.
package soak
