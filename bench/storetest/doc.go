// Package storetest compares what servers keep in their memory: items that fit, hit ratios on traces, latency while the index grows, resident
// memory and the overhead per item. Package evictsim draws the traces, and simulates eviction policies on them.
package storetest
