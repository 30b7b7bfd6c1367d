package process

import (
	"fmt"
	"runtime/debug"
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

// FilesNeeded is how many descriptors a server has at the most. others are those that it has for something else than the cache.
func FilesNeeded(connections, threads, others int) int {
	return connections + threads*sparePerThread + spareFiles + others
}

// RaiseFileLimit makes room for connections and for what the server itself
// opens, as far as the process may. It is an error if not even the connections
// fit. If only the spare does not, the warning says so: then the last few
// connections are refused because descriptors have run out, and not by -c.
func RaiseFileLimit(connections, threads, others int) (warning string, err error) {
	takePoller()
	need := uint64(FilesNeeded(connections, threads, others))
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
// timer, and if it cannot then, the process crashes instead of reporting that there are too few.
func takePoller() { time.Sleep(time.Nanosecond) }

// rlimitMemlock is RLIMIT_MEMLOCK of include/uapi/asm-generic/resource.h, which
// package syscall leaves out.
const rlimitMemlock = 8

// RaiseLockLimit raises the limit on lockable memory as far as the process may. Newer kernels count
// rings and their buffer lists as such, by user: what other processes of the same user
// hold counts too, so the server cannot know how much it needs, and root removes the limit. A limit that stays as it was is no error here: if it is too low, making the ring
// fails and says so.
func RaiseLockLimit() {
	const infinity = ^uint64(0)
	if syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{Cur: infinity, Max: infinity}) == nil {
		return
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(rlimitMemlock, &limit) == nil {
		_ = syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{Cur: limit.Max, Max: limit.Max})
	}
}

// prSetDumpable is PR_SET_DUMPABLE of include/uapi/linux/prctl.h.
const prSetDumpable = 4

// RaiseCoreLimit lets a crash leave a core file of any size that the hard limit
// allows. If it allows none, that is an error.
func RaiseCoreLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		return fmt.Errorf("-r: can't read the limit on core files: %w", err)
	}
	const unlimited = ^uint64(0)
	if syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: unlimited, Max: unlimited}) != nil {
		limit.Cur = limit.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &limit); err != nil || limit.Cur == 0 {
			return fmt.Errorf("-r: the hard limit on core files allows none (ulimit -H -c)")
		}
	}
	debug.SetTraceback("crash") // the Go runtime aborts instead of exiting
	return nil
}

// AllowCoreDumps is for after the user has changed, when the kernel takes a process for
// one that may hold secrets, and dumps nothing.
func AllowCoreDumps() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 1, 0); errno != 0 {
		return fmt.Errorf("-r: prctl PR_SET_DUMPABLE: %w", errno)
	}
	return nil
}

// mclOnFault is MCL_ONFAULT of include/uapi/asm-generic/mman.h: pages are locked when
// they are first used, so that memory nobody used yet still costs nothing.
const mclOnFault = 4

// LockMemory keeps the process's memory from being swapped, that which it has now and,
// if there is no limit on locked memory, that which it will have. With a limit the
// latter is left out: the Go runtime could then run out of memory long before the
// machine does. The items' memory is there already. That nothing could be locked is, as
// in memcached, no reason not to serve.
func LockMemory(log LogFunc) {
	const unlimited = ^uint64(0)
	flags := syscall.MCL_CURRENT | mclOnFault
	if syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{Cur: unlimited, Max: unlimited}) == nil {
		flags |= syscall.MCL_FUTURE
	}
	if err := syscall.Mlockall(flags); err != nil {
		log(0, "warning: -k: can't lock memory: %v (raise the limit with LimitMEMLOCK=infinity in a unit, ulimit -l unlimited in a shell or --ulimit memlock=-1 for a container)", err)
	}
}
