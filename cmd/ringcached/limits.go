package main

import (
	"fmt"
	"syscall"
	"time"
)

// sparePerThread and spareFiles are the descriptors beside connections: per
// thread a ring or epoll instance, two for events, and its listeners, twice while
// they are handed over; once the standard streams and what the Go runtime opens.
const (
	sparePerThread = 12
	spareFiles     = 16
)

// raiseFileLimit makes room for connections and for what the server itself
// opens, as far as the process may. It is an error if not even the connections
// fit. If only the spare does not, the warning says so: then the last few
// connections are refused for want of descriptors rather than by -c.
func raiseFileLimit(connections, threads int) (warning string, err error) {
	takePoller()
	need := uint64(connections + threads*sparePerThread + spareFiles)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return "", fmt.Errorf("can't read the limit on open files: %w", err)
	}
	if limit.Cur >= need {
		return "", nil
	}
	raised := syscall.Rlimit{Cur: need, Max: max(limit.Max, need)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return "", nil
	}
	// Not allowed to pass the hard limit: take all of it.
	raised = syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		raised.Cur = limit.Cur
	}
	if raised.Cur < uint64(connections) {
		return "", fmt.Errorf("%d connections (-c) need %d open files, but the limit is %d: raise it (ulimit -n) or lower -c",
			connections, need, raised.Cur)
	}
	return fmt.Sprintf("warning: %d connections (-c) need %d open files, the limit is %d; the last ones may be refused",
		connections, need, raised.Cur), nil
}

// takePoller makes the Go runtime open the two descriptors of its poller now, while there are some: it does so at the first
// timer, and if it cannot then, the process crashes instead of telling that there are too few.
func takePoller() { time.Sleep(time.Nanosecond) }

// rlimitMemlock is RLIMIT_MEMLOCK of include/uapi/asm-generic/resource.h, which
// package syscall leaves out.
const rlimitMemlock = 8

// raiseLockLimit asks for as much lockable memory as may be had. Newer kernels count
// rings and their buffer lists as such, by user: what other processes of the same user
// hold counts too, so there is no telling how much is needed, and root takes the limit
// away. A limit that stays as it was is no error here: if it is too low, making the ring
// fails and says so.
func raiseLockLimit() {
	const infinity = ^uint64(0)
	if syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{Cur: infinity, Max: infinity}) == nil {
		return
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(rlimitMemlock, &limit) == nil {
		_ = syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{Cur: limit.Max, Max: limit.Max})
	}
}
