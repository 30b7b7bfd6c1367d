// Package top watches a memcached server, or ringcached, on a terminal: what it does per second, hits and misses, memory by slab class, and, where the
// server offers them, hot keys and how well requests are batched.
//
// A [session] asks the server on one connection, one command after the other, and makes a [Reading] of the answers. A [Change] is what happened
// between two readings: rates come from it, and it knows of servers that were restarted and of counters that were reset. A view turns that into lines
// of text; it does no I/O and knows no clock. The model, which Bubble Tea runs, decides when to ask and what keys do. Without a terminal the same
// lines are printed once.
//
// # What the server says is not trusted
//
// A server may be hostile, and so may be the clients that chose its keys. Nothing but printable ASCII of theirs reaches the terminal (clean), lines,
// names and values have a largest length, a reply has a largest number of lines, and each reading has a limit in time.
package top
