//go:build !amd64

package store

import "unsafe"

func prefetchLine(unsafe.Pointer) {}
func prefetchItem(unsafe.Pointer) {}
