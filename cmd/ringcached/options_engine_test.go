package main

import (
	"runtime"
	"testing"

	"ringcached/cmd/ringcached/config"
	"ringcached/batch"
)

// TestLimitThreads: -t is how many threads the net engine has, and of others it says nothing about Go's.
func TestLimitThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	o := config.New().Engine
	o.Batch.Threads = before + 3
	o.LimitThreads()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("engine %s: %d threads", o.Batch.Engine, n)
	}
	o.Batch.Engine = batch.EngineNet
	o.LimitThreads()
	if n := runtime.GOMAXPROCS(0); n != before+3 {
		t.Errorf("engine net: %d threads, want %d", n, before+3)
	}
}
