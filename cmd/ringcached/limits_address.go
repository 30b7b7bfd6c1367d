package main

import (
	"errors"
	"fmt"
	"syscall"

	"ringcached/ring"
	"ringcached/store"
)

// connectionAddresses is the address space in bytes that a server needs beside its items at the least: rings, buffers, connections.
const connectionAddresses = 64 << 20

// newStore makes the store. Under a limit on the address space (ulimit -v) an error names it, and so does a remark where only the reserve is
// smaller, into which cache_memlimit grows.
func newStore(c store.Config, log logFunc) (*store.Store, error) {
	items, err := store.New(c)
	if err == nil {
		if err = haveAddresses(connectionAddresses); err != nil {
			err = errors.Join(err, items.Close())
		}
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) != nil || limit.Cur == ^uint64(0) {
		return items, err
	}
	if errors.Is(err, syscall.ENOMEM) {
		return nil, fmt.Errorf("%w: the address space is limited to %d megabytes, raise that (ulimit -v) or lower -m", err, limit.Cur>>20)
	}
	if err == nil && items.LimitMax() < c.LimitMax {
		log(0, "the address space is limited to %d megabytes (ulimit -v): cache_memlimit can raise -m to %d at most", limit.Cur>>20, items.LimitMax()>>20)
	}
	return items, err
}

// haveAddresses tells whether so many bytes more can be mapped.
func haveAddresses(bytes int) error {
	mem, err := ring.Map(bytes)
	if err != nil {
		return fmt.Errorf("%d megabytes for connections: %w", bytes>>20, err)
	}
	return ring.Unmap(mem)
}
