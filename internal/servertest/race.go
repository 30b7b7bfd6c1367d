//go:build race

package servertest

// Race tells that the race detector is at work. It makes everything take some ten times as long: what plain runs test in many variants is tested with it in fewer.
const Race = true
