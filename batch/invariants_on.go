//go:build invariants

package batch

// invariants says whether every change of a connection's state is checked against the legal ones.
const invariants = true
