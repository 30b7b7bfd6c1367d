//go:build invariants && !race && !emulated

package servertest

// Slow is how much longer things take than in a plain build on a real machine.
const Slow = 2
