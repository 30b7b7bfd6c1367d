// Package evictsim simulates eviction policies: which items would a cache have held, and how often would it have had
// what it was asked for? A [Policy] decides what stays (see [Kinds] and docs/eviction.md), and a [Cache] replays the
// requests of a [Trace] on it.
//
// What is asked for and not there is stored. Nothing has a clock, so what a server does by seconds is done by numbers
// of requests here, and background work is done at once.
package evictsim
