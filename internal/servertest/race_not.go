//go:build !race

package servertest

// Race tells that the race detector is at work.
const Race = false
