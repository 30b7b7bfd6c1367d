// Package store is ringcached's cache of items: keys and values in memory that is mapped once, outside the Go heap, and shared by all cores. It
// knows no protocol and starts no goroutine: everything happens inside the calls. It does I/O only for Config.File, when it starts and when it
// saves.
//
// # Files
//
//	store.go          Config, Store, New and Close
//	item.go           an item in memory: header, text, CAS of the client's choice, references (Retain, Release), marks
//	entry.go          Lock: a key under the lock of its stripe; Link, Unlink, uses
//	index.go          from a key's hash to its item: stripes, buckets, overflow, growth
//	tryget.go         TryGet: a get without a lock; Approach: prefetching
//	alloc.go          Alloc: where an item's memory comes from; the ways to a chunk
//	chain.go          items in several chunks; Begin and Grow, for values that are still arriving
//	slab.go           slab classes, pages and the pool of free pages
//	limit.go          SetLimit and Maintain, which change how many pages there are; package memory has the mappings
//	evict.go          which item goes when memory is needed: the clock hand
//	probation.go      probation of new items, in front of the hand: its queue, and the ghosts
//	adapt.go          how strict probation is, from what comes back of what was evicted
//	rebalance.go      which class a page serves best: shadow queues; emptying a page; Reassign
//	expire.go         expiry, flushes and the CAS numbers that they rest on; crawls that remove what is dead
//	walk.go           walks over all items
//	stats.go          counters
//	file.go           Save, and what New restores; package snapshot has the format
//	invariants_on.go  checks under the build tag "invariants"
//
// # Memory
//
// Config.Limit bytes are mapped at the start as pages of 1 MiB; memory that was never used costs nothing. A page belongs to a slab class, which
// cuts it into chunks of one size (slab.go). An item is one chunk, or a chain of them when it is larger than the largest chunk (chain.go):
//
//	header 24 B | key | " flags length\r\n" | value | "\r\n"
//
// so that the reply to a get lies in memory as the client gets it. Between header and key are the link of a chain, and the CAS that a client chose,
// where there is one. Chunks are addressed by links: 32-bit numbers in units of 8 bytes (more when Limit is above 32 GiB), 0 for none. The garbage
// collector sees none of this: its work does not grow with the number of items.
//
// Memory is allocated in Store.alloc (alloc.go), which tries the ways to a chunk from the cheapest on: class.pop takes a free one, Store.evict that
// of an item. It is freed in Store.free (item.go), by the Release of the last reference; class.push (slab.go) makes the chunk a free one, and gives
// an empty page back to the pool.
//
// # Life of an item
//
// Alloc makes an item that only its caller knows, with one reference. Entry.Link puts it into the index, which takes the reference over. From
// then on Lock finds it, and whoever sends from its memory takes one more reference with Retain. Delete, replacement, expiry, flush and eviction only
// take the item out of the index: the last Release frees its memory.
//
// # Index
//
// Keys are found through buckets of one cache line, each with twelve links and an 8-bit tag of the hash for each, so that a lookup touches one
// line of index and the item itself (index.go). The hash has secrets drawn at random, so that a client cannot choose keys that all fall into one
// bucket (package keyhash), and a bucket evicts rather than hold more than 72 items. Every stripe of the hash space grows by linear hashing, one
// bucket at a time: no pause, and no second copy of the table.
//
// A get of a small item that has been in use lately takes no lock: TryGet shows the item, and what was read of it counts if the stripe's version
// shows that nothing changed meanwhile (tryget.go). So cores that read do not disturb each other.
//
// # Eviction
//
// A class without a free chunk evicts if the store has no free page. New items are on probation for as long as it takes to store a tenth as many as
// the class has: one that nobody used meanwhile goes first, so that a scan passes through without displacing what is used. Of the others, CLOCK
// decides: a hand goes over the chunks of the class in the order of memory, takes one off the recency count (0 to 3) of each item it meets, and
// evicts the first that has none left (evict.go). Where what probation evicted comes back clearly more often than what the hand evicted, a part of
// what nobody used is kept, and where only recency counts the hand takes the whole count (adapt.go). A hit changes at most one byte of the item, and
// nothing once the count is full; every accessStep seconds it writes the time as well.
//
// A page is moved by evicting what is in it, to a class that would have had more hits with one page more than the other loses with one page less
// (rebalance.go). When there are fewer pages than sizes of items, an item lies in a larger chunk or in a chain of smaller ones (alloc.go).
//
// # Walks and changes while it runs
//
// Walk is a position on the way over all items (walk.go); Crawl is one that frees what is dead (expire.go). SetLimit and Reassign change which pages
// there are and which class has them. They only begin it: Maintain goes on, in slices, for as long as there is something to do.
//
// # Over a restart
//
// With Config.File the items' memory is a mapping of that file, and Save writes all else into a second one beside it (package snapshot). Nothing in
// there is an address, so New restores the store without looking at a single item (file.go). What ended otherwise than by Save leaves no snapshot.
//
// # Locks
//
// In this order; a goroutine may wait for a lock only if it has none of the same rank or one that comes later:
//
//  1. stripe: a part of the hash space: its index, and all that is in the items linked there. Held from Lock to Entry.Unlock
//  2. move: the page that is being taken from a class
//  3. class: free chunks, pages and the hand of one class
//  4. pools: of free pages, of overflow buckets, of blocks of probation queues, and of CAS numbers
//
// Where eviction needs a stripe while it has a class, it uses TryLock, and passes by the item if another goroutine has the stripe. The store holds
// none of these locks across a system call. SetLimit has a lock of its own before them, which it holds while it makes address space usable. Maintain
// holds none while it gives a page back to the system or reserves one, which may take a disk's time. Built with the tag "invariants" the store
// checks the order, poisons freed chunks, and verifies counts.
package store
