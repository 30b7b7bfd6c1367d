package main

import (
	"fmt"
	"runtime/debug"
	"syscall"
)

// prSetDumpable is PR_SET_DUMPABLE of include/uapi/linux/prctl.h.
const prSetDumpable = 4

// raiseCoreLimit lets a crash leave a core file of any size that the hard limit
// allows. If it allows none, that is an error.
func raiseCoreLimit() error {
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

// allowCoreDump is for after the user has changed, when the kernel takes a process for
// one that may hold secrets, and dumps nothing.
func allowCoreDump() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 1, 0); errno != 0 {
		return fmt.Errorf("-r: prctl PR_SET_DUMPABLE: %w", errno)
	}
	return nil
}
