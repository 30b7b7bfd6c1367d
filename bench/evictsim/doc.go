// Package evictsim simulates eviction policies: which items would a cache have held, and how often would it have had what it was asked for?
//
// A [Trace] is an endless sequence of requests, drawn from a seed. A [Policy] decides what stays: see [Kinds], and docs/eviction.md for the papers. A
// [Cache] is what a trace is replayed on: one policy over all items, or one for each slab class.
//
// All caches are read-through: what is asked for and not there is stored. Nothing has a clock, so what a server does by seconds is done by numbers of
// requests here, and background work is done at once.
package evictsim
