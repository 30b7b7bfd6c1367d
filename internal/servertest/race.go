//go:build race

package servertest

import "os"

// Race tells that the race detector is at work. It makes everything take some ten times as long: what plain runs test in many variants is tested with it in fewer.
const Race = true

// A program with the race detector sleeps for a second before it exits (ThreadSanitizer's atexit_sleep_ms, go.dev/doc/articles/race_detector), so that
// threads that go on may show races of their last moments. Servers have no such threads, and tests start hundreds.
func init() {
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
}
