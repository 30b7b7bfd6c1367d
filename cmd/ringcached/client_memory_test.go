package main

import "testing"

// TestClientMemoryDefault: it follows -m and -c, between a least and a quarter of -m, unless it was given.
func TestClientMemoryDefault(t *testing.T) {
	for _, c := range []struct {
		options  memoryOptions
		maxConns int
		want     int64
	}{
		{memoryOptions{limit: 64 << 20}, 1024, 32 << 20},
		{memoryOptions{limit: 1 << 30}, 1024, 64 << 20},
		{memoryOptions{limit: 1 << 30}, 100_000, 256 << 20},
		{memoryOptions{limit: 1 << 30, clientsGiven: true}, 1024, 0},
		{memoryOptions{limit: 1 << 30, clients: 5 << 20, clientsGiven: true}, 1024, 5 << 20},
	} {
		if got := c.options.clientMemory(c.maxConns); got != c.want {
			t.Errorf("%+v, -c %d: %d, want %d", c.options, c.maxConns, got, c.want)
		}
	}
	o := newMemoryOptions()
	if o.clients = 1 << 20; o.validate() == nil {
		t.Error("1m is taken")
	}
}
