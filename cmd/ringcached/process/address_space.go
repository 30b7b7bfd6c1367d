package process

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"ringcached/ring"
	"ringcached/store"
)

// connectionAddresses is the least address space, in bytes, that a server needs beside its items: for rings, buffers and connections, and
// for Go's heap, which grows by 64 MiB.
const connectionAddresses = 128 << 20

// NewStore makes the store. If memory can't be mapped the error names the limits that may be too low. If only the
// reserve into which cache_memlimit grows had to be smaller, the log says so.
func NewStore(c store.Config, log LogFunc) (*store.Store, error) {
	items, err := store.New(c)
	if err == nil {
		if err = haveAddresses(connectionAddresses); err != nil {
			err = errors.Join(err, items.Close())
		}
	}
	limits := strings.Join(mappingLimits(), ", ")
	if limits == "" || err != nil && !errors.Is(err, syscall.ENOMEM) {
		return items, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: raise that or lower -m", err, limits)
	}
	if items.LimitMax() < c.LimitMax {
		log(0, "%s: cache_memlimit can raise -m to %d at most", limits, items.LimitMax()>>20)
	}
	return items, nil
}

// mappingLimits are the reasons for which the kernel may refuse to map memory.
func mappingLimits() (reasons []string) {
	for _, r := range []struct {
		resource   int
		name, flag string
	}{
		{syscall.RLIMIT_AS, "the address space", "-v"},
		{syscall.RLIMIT_DATA, "the memory that can be written", "-d"},
	} {
		var limit syscall.Rlimit
		if syscall.Getrlimit(r.resource, &limit) == nil && limit.Cur != ^uint64(0) {
			reasons = append(reasons, fmt.Sprintf("%s is limited to %d megabytes (ulimit %s)", r.name, limit.Cur>>20, r.flag))
		}
	}
	if mode, err := os.ReadFile("/proc/sys/vm/overcommit_memory"); err == nil && string(mode) == "2\n" {
		reasons = append(reasons, "memory is not overcommitted (vm.overcommit_memory=2)")
	}
	return reasons
}

// haveAddresses returns an error if this number of bytes more can't be mapped.
func haveAddresses(bytes int) error {
	mem, err := ring.Map(bytes)
	if err != nil {
		return fmt.Errorf("%d megabytes for connections: %w", bytes>>20, err)
	}
	return ring.Unmap(mem)
}
