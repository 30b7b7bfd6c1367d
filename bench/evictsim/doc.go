// Package evictsim simulates eviction policies: which items would a cache have held, and how often would it have had
// what it was asked for? A [Policy] decides what stays (see [Kinds] and docs/eviction.md), and a [Cache] replays the
// requests of a [Trace] on it.
//
// What is asked for and not there is stored. Nothing has a clock: what servers do by seconds is done by requests here.
package evictsim
