// Package trace reads, writes and makes traces of caches: files that say who asked a cache for what, and when.
//
// The format is that of the traces that Twitter published (Yang, Yue and Rashmi, "A large scale analysis of hundreds of in-memory cache
// clusters at Twitter", OSDI 2020; https://github.com/twitter/cache-trace): a request a line, with seven fields between commas.
//
//	0,q:q:1:8WTfjZU14ee,17,213,4,get,0
//
// They are the time in seconds, the key, the size of the key and of the value in bytes, the number of the client, the operation, and the time
// to live in seconds. A [Record] is such a line, a [Reader] reads them as a stream, also from a compressed file ([Open]), and a [Writer] writes
// them. [Options.Generate] draws a trace from a seed; what its kinds ask for comes from package evictsim.
package trace
