package main

import (
	"fmt"
	"slices"

	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
)

// memoryNeed is the memory that a server takes, in bytes.
type memoryNeed struct {
	items   int64 // -m
	clients int64 // at the most, see --client-memory
	process int64 // of which the receive buffers are most
	index   int64 // at the most: with the smallest items
}

const (
	processBytes    = 8 << 20 // of the program and its runtime, see docs/architecture.md
	connectionBytes = 100     // of the process; the kernel's are not in it
)

// memoryNeedOf is what a server with these options takes.
func memoryNeedOf(c *config.Config) memoryNeed {
	batch := c.Engine.Batch
	return memoryNeed{
		items:   c.Memory.Limit,
		clients: c.Memory.ClientMemory,
		process: processBytes + int64(batch.Threads)*int64(batch.Buffers)*int64(batch.BufferSize) + int64(c.Network.MaxConns)*connectionBytes,
		index:   c.Store().IndexMax(),
	}
}

func (n memoryNeed) String() string {
	return fmt.Sprintf("%d megabytes for items (-m), %d for buffers and the process, up to %d for clients (--client-memory), up to %d for the index (if items are small)",
		n.items>>20, n.process>>20, n.clients>>20, n.index>>20)
}

// exceeded is the least limit that the server will exceed for certain once its cache is full. A limit that may soon be another is only named if
// no lasting one is exceeded.
func (n memoryNeed) exceeded(limits []process.MemoryLimit) (least process.MemoryLimit, found bool) {
	for _, passing := range []bool{false, true} {
		for _, l := range limits {
			if l.Passing == passing && l.Bytes < n.items+n.process && (!found || l.Bytes < least.Bytes) {
				least, found = l, true
			}
		}
		if found {
			return least, true
		}
	}
	return least, false
}

// warnOfMemory says when there is less memory than -m asks for: a cache that fills up there does not evict, it is killed.
func (s *service) warnOfMemory(limits []process.MemoryLimit, log process.LogFunc) {
	need := memoryNeedOf(s.config)
	if s.config.Memory.File != "" || s.inherited.HasPredecessor() {
		// The file, or the server before, may hold memory that this one is about to have.
		limits = slices.DeleteFunc(limits, func(l process.MemoryLimit) bool { return l.Passing })
	}
	if least, found := need.exceeded(limits); found {
		log(0, "warning: too little memory: %v, of %d that there are (%s): when the cache fills the kernel may kill the server",
			need, least.Bytes>>20, least.Who)
	}
}
