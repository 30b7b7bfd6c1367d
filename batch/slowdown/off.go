//go:build !slowdown

// Package slowdown makes a server slower, in builds with the tag of that name only: such servers show whether a comparison tells a small difference
// (scripts/check-comparison).
package slowdown

// Thread is a thread's slowdown. In builds without the tag it is nothing.
type Thread struct{}

// Quantum makes the thread use more CPU time for a quantum of a connection.
func (*Thread) Quantum() {}
