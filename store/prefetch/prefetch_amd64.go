package prefetch

import "unsafe"

// Line loads the cache line at p, which may be any address.
//
//go:noescape
func Line(p unsafe.Pointer)

// Item loads the three cache lines from p on, which may be any address: most small items lie in them.
//
//go:noescape
func Item(p unsafe.Pointer)
