// Package trace reads, writes and makes traces of caches: files that say who asked a cache for what, and when.
//
// A [Record] is a request. A [Reader] finds the [Format] of a trace by its content and reads it as a stream, also
// from a compressed file ([Open]); a [Writer] writes each of the formats ([Create]). [Options.Generate] draws a trace
// from a seed; what its kinds ask for comes from package evictsim. The formats are described in docs/traces.md.
package trace
