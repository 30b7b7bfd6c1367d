//go:build !race && !invariants

package servertest

// buildFlags are for a server of the same kind as the test.
var buildFlags []string
