// Package store is ringcached's cache of items: keys and values in memory that is mapped once, outside the Go heap, shared by all
// cores. It knows no protocol and leaves no goroutine behind: everything happens inside the calls. It does no I/O but for Config.File, at the
// start and at the end.
//
// # Memory
//
// Config.Limit bytes are mapped at the start as pages of 1 MiB; memory that was never used costs nothing. A page belongs to a slab
// class, which cuts it into chunks of one size (class.go, page.go). An item is one chunk, or a chain of them when it is larger than
// the largest chunk (chain.go):
//
//	header 24 B | key | " flags length\r\n" | value | "\r\n"
//
// so that the answer to a get lies in memory as it goes to the client. Between header and key is the link of a chain, and the CAS
// that a client chose, where there is one (cas.go). Chunks are addressed by links: 32-bit numbers in units of 8
// bytes (more when Limit is above 32 GiB), 0 for none. The garbage collector sees none of this: its work does not grow with the
// number of items.
//
// # Index
//
// Keys are found through buckets of one cache line, each with twelve links and an 8-bit tag of the hash for each, so that a lookup
// touches one line of index and the item itself (index.go). The hash has secrets drawn at random, so that a client cannot choose keys that
// all fall into one bucket (hash.go), and a bucket evicts rather than hold more than 72 items, whoever filled it (bucket_evict.go). Every
// stripe of the hash space grows by linear hashing, one bucket at a time: no pause, and no second copy of the table.
//
// A get of a small item that has been in use lately takes no lock at all: TryGet copies the item and believes the copy if the stripe's
// version shows that nothing changed meanwhile (tryget.go). So cores that read do not disturb each other.
//
// # Life of an item
//
// Alloc makes an item that only its caller knows (one reference); Entry.Link puts it into the index, which takes the reference over.
// From then on it is found by Lock, and whoever sends from its memory takes a further reference with Retain. Delete, replacement,
// expiry, flush and eviction only take the item out of the index: the memory goes back with the last reference (refs.go).
//
// # Eviction
//
// A class without a free chunk, in a store without a free page, evicts. New items are on probation for as long as it takes to store a
// tenth as many as the class has: one that nobody used meanwhile goes first, so that a scan passes through without displacing what is
// used (probation.go). Of the others, CLOCK decides: a hand goes over the chunks of the class in the order of memory, takes one off
// the recency count (0 to 3) of each item it meets, and evicts the first that has none left (evict.go). A hit changes at most one byte
// of the item, and nothing once the count is full; every accessStep seconds it writes the time as well.
//
// Pages move by evicting what is in them (drain.go), to classes that would have had more hits with a page more than others lose by having one
// less (balance.go, shadow.go). With fewer pages than sizes of items, classes share pages (take.go).
//
// # Walks and changes while it runs
//
// Walk is a place on the way over all items, through the index bucket by bucket (walk.go); Crawl is one that frees what is dead (crawl.go).
// SetLimit and Reassign change which pages there are and whose they are (limit.go, reassign.go). They only begin it: Maintain goes on, in
// slices, for as long as there is something to do.
//
// # Over a restart
//
// With Config.File the items' memory is a mapping of that file, and Save writes all else into a second one beside it: the books of classes,
// pages and stripes, and the used part of the index as it lies in memory, under checksums (snapshot.go, save.go); those of the items' pages
// are among the books (sums.go). Nothing in there is an address, so New has it again by reading it, without looking at a single item
// (restore.go). The header of the snapshot is written last, after all else is safe, and the snapshot is removed before a start changes
// anything: what ended otherwise than by Save leaves none.
//
// # Locks
//
// In this order; a goroutine may wait for a lock only if it has none of the same rank or one that comes later:
//
//  1. stripe: a part of the hash space: its index, and all that is in the items linked there. Held from Lock to Entry.Unlock
//  2. move: the page that is being taken from a class
//  3. class: free chunks, pages and the hand of one class
//  4. pools: that of free pages, that of overflow buckets, and that of CAS numbers
//
// Where eviction needs a stripe while it has a class, it uses TryLock, and passes by what it cannot have. Nothing holds one of these across
// a system call of ours. SetLimit has one of its own before them, which it holds while it makes address space usable. Maintain holds none while
// it gives a page back to the system or reserves one, which may take a disk's time. Built with the tag "invariants" the order is checked, freed
// chunks are poisoned, and counts are verified.
package store
