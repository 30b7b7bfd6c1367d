//go:build !amd64

package prefetch

import "unsafe"

func Line(unsafe.Pointer) {}
func Item(unsafe.Pointer) {}
