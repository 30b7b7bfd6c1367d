// Package gonet is a memcached server with a goroutine for each connection over package net: what a Go programmer
// writes first, and the baseline of ringcached's engines, with their protocols and their store, so that only the way in
// which bytes move differs. `ringcached-bench gonet` runs it; compare starts it as the server "net".
//
// It is made as well as such a server can be: requests that arrive together are answered with one write, values are
// sent from where the store has them and large ones are received straight into it, a request allocates nothing, a peer
// that takes nothing is closed, and a stop answers what has arrived. It has no UDP, limit on the memory that clients
// make it hold, idle timeouts, passwords, memory file, hand-over, pinned threads, `stats conns` or counts of system
// calls.
package gonet
