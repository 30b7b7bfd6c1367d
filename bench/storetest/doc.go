// Package storetest compares servers' stores, each started anew: items that fit, hit ratios, pauses, memory. Eviction
// policies it simulates.
package storetest
