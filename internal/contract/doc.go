// Package contract is what the two halves of the server agree on: package batch moves bytes between sockets and a Handler, package proto
// is the Handler. Neither imports the other; both import this package, so every type, name and limit that they share stands here once.
//
// A connection is a small number, dense and used again after Handler.Closed. Each channel of batch has a Handler of its own and calls it
// from one thread.
package contract
