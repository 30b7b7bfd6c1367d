package store

import "unsafe"

// prefetchLine has the processor load the cache line at p, which may be any address, and does not wait for it.
//
//go:noescape
func prefetchLine(p unsafe.Pointer)

// prefetchItem does so with the lines that a small item at p lies in.
//
//go:noescape
func prefetchItem(p unsafe.Pointer)
