//go:build !slowdown

package slowdown

// Thread is a thread's slowdown. In builds without the tag it is nothing.
type Thread struct{}

// Quantum makes the thread use more CPU time for a quantum of a connection.
func (*Thread) Quantum() {}
