package main

import (
	"runtime"
	"testing"

	"ringcached/batch"
)

// TestLimitThreads: -t is how many threads the net engine has, and of others it says nothing about Go's.
func TestLimitThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	o := newEngineOptions()
	o.batch.Threads = before + 3
	o.limitThreads()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("engine %s: %d threads", o.batch.Engine, n)
	}
	o.batch.Engine = batch.EngineNet
	o.limitThreads()
	if n := runtime.GOMAXPROCS(0); n != before+3 {
		t.Errorf("engine net: %d threads, want %d", n, before+3)
	}
}
