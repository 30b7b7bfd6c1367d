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
	index   int64 // with the smallest items
	kernel  int64 // at the most: of the kernel's for connections, which counts in a cgroup
}

const (
	processBytes    = 8 << 20  // of the program and its runtime, see docs/architecture.md
	connectionBytes = 100      // of the process; the kernel's are not in it
	tlsBytes        = 400      // of the process, for a connection with TLS
	handshakeBytes  = 64 << 10 // of the process, for a handshake that goes on, with what it leaves to the garbage collector
	socketBytes     = 8 << 10  // of the kernel's for a connection that is used, see docs/operations.md

	indexBytes     = 8.5 // for each item, on the average
	indexBytesMost = 9   // with items of 72 bytes, the smallest unless -n is given: 8.6
	usualItem      = 200 // bytes of an item with its key and its head: caches of smaller ones are few
)

// memoryNeedOf is what a server with these options takes.
func memoryNeedOf(c *config.Config) memoryNeed {
	batch := c.Engine.Batch
	need := memoryNeed{
		items:   c.Memory.Limit,
		clients: c.Memory.ClientMemory,
		process: processBytes + int64(batch.Threads)*int64(batch.Buffers)*int64(batch.BufferSize) + int64(c.Network.MaxConns)*connectionBytes,
		index:   c.Store().ItemsMax() * indexBytesMost,
		kernel:  int64(c.Network.MaxConns) * socketBytes,
	}
	if c.TLS.Enabled {
		need.process += int64(c.Network.MaxConns)*tlsBytes + int64(min(c.TLS.Handshakes, c.Network.MaxConns))*handshakeBytes
	}
	return need
}

func (n memoryNeed) String() string {
	upTo := func(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }
	return fmt.Sprintf("%d megabytes for items (-m), %d for buffers and the process, up to %d for clients (--client-memory), up to %d for the index (if items are small), up to %d of the kernel's for connections (-c)",
		n.items>>20, n.process>>20, upTo(n.clients), upTo(n.index), upTo(n.kernel))
}

// exceeded is the least limit that the server will exceed for certain once its cache is full. One that only slows it down is named if it exceeds
// no other, and one that may soon be another if it exceeds no lasting one.
func (n memoryNeed) exceeded(limits []process.MemoryLimit) (least process.MemoryLimit, found bool) {
	for _, kind := range []process.MemoryLimit{{}, {Slows: true}, {Passing: true}} {
		for _, l := range limits {
			if l.Passing == kind.Passing && l.Slows == kind.Slows && l.Bytes < n.items+n.process && (!found || l.Bytes < least.Bytes) {
				least, found = l, true
			}
		}
		if found {
			return least, true
		}
	}
	return least, false
}

// tight is the least limit of a cgroup that leaves too little for the index of items of the usual size, and for all connections, once the cache is
// full; and the size in bytes that items must have on the average to fit.
func (n memoryNeed) tight(limits []process.MemoryLimit) (least process.MemoryLimit, size int64, found bool) {
	beside := n.items + n.process + n.kernel
	for _, l := range limits {
		if l.Group && l.Bytes < beside+int64(float64(n.items)/usualItem*indexBytes) && (!found || l.Bytes < least.Bytes) {
			least, found = l, true
		}
	}
	if room := least.Bytes - beside; found && room > 0 {
		size = int64(float64(n.items) * indexBytes / float64(room))
	}
	return least, size, found
}

// warnOfMemory says when there is less memory than -m and what comes beside it ask for: a cache that fills up there does not evict, it is killed.
func (s *service) warnOfMemory(limits []process.MemoryLimit, log process.LogFunc) {
	need := memoryNeedOf(s.config)
	if s.config.Memory.File != "" || s.inherited.HasPredecessor() {
		// The file, or the server before, may hold memory that this one is about to have.
		limits = slices.DeleteFunc(limits, func(l process.MemoryLimit) bool { return l.Passing })
	}
	if least, found := need.exceeded(limits); found {
		log(0, "warning: too little memory: %v, of %d that there are (%s): when the cache fills the kernel may %s the server",
			need, least.Bytes>>20, least.Who, whatKernelDoes(least))
		return
	}
	least, size, found := need.tight(limits)
	switch {
	case !found:
	case size > 0:
		log(0, "warning: little memory: %v, of %d that there are (%s): if items have less than %d bytes on the average the kernel may %s the server when the cache fills",
			need, least.Bytes>>20, least.Who, size, whatKernelDoes(least))
	default:
		log(0, "warning: little memory: %v, of %d that there are (%s): with many connections the kernel may %s the server when the cache fills",
			need, least.Bytes>>20, least.Who, whatKernelDoes(least))
	}
}

// whatKernelDoes is what comes of exceeding the limit.
func whatKernelDoes(l process.MemoryLimit) string {
	if l.Slows {
		return "slow down"
	}
	return "kill"
}
