//go:build race || emulated

package servertest

// Slow is how much longer things take than in a plain build on a real machine. Tag
// emulated is for tests that run under an emulator.
const Slow = 10
