// Package gonet is a memcached server with a goroutine for each connection over package net: what a Go programmer writes first, and the
// baseline that ringcached's engines are compared with. It serves the same protocols (package proto) from the same store, so that only the
// way in which bytes move differs. `ringcached-bench gonet` runs it; compare starts it by itself as the server "net".
//
// It is made as well as such a server can be: requests that arrive together are answered with one write, values are sent from where the store
// has them and large ones are received straight into it, buffers are reused, a request allocates nothing, a peer that takes nothing is
// closed, and a stop answers what has arrived.
//
// What it does not have, and ringcached has: UDP, a limit on the memory that clients make it hold, idle timeouts, authentication files, a
// memory file, hand-over, privileges to drop, pinned threads, `stats conns`, and counters of system calls, which only Go's runtime knows.
package gonet
