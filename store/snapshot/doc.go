// Package snapshot keeps a store over a restart, in two files that one process at a time has open:
//
//   - the items' file is the memory of the items itself: the store maps it. Its last bytes are a trailer with an id that is drawn at every start.
//   - the meta file beside it holds a snapshot of all else, and is empty while a store runs: header, tables, and the used part of the index as it
//     lies in memory. All numbers are little-endian, and none is an address.
//
// The header (tables.go) has the id of the items' trailer, the lengths of the tables and of the index, and checksums of both. The tables have what
// the store knows of its stripes, slab classes and pages, with a checksum of each page's items (sums.go).
//
// A snapshot that Read accepts is complete and belongs to the items beside it:
//
//   - SaveSteps writes the header last, after all else is on the disk (save.go).
//   - Begin removes the snapshot before the store changes anything (file.go). What ends otherwise than by a save leaves none.
//   - The header's id and checksums tell snapshots apart that are damaged, cut off, or of another start (read.go).
//
// The package knows how a snapshot is written and checked. Package store knows what the numbers in it mean, and checks that
// none leads out of its memory (file.go there).
package snapshot
