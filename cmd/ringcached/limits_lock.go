package main

import "syscall"

// mclOnFault is MCL_ONFAULT of include/uapi/asm-generic/mman.h: pages are locked when
// they are first used, so that memory nobody used yet still costs nothing.
const mclOnFault = 4

// lockMemory keeps the process's memory from being swapped, that which it has now and,
// if there is no limit on locked memory, that which it will have. With a limit the
// latter is left out: the Go runtime could then run out of memory long before the
// machine does. The items' memory is there already. That nothing could be locked is, as
// in memcached, no reason not to serve.
func lockMemory(log logFunc) {
	const unlimited = ^uint64(0)
	flags := syscall.MCL_CURRENT | mclOnFault
	if syscall.Setrlimit(rlimitMemlock, &syscall.Rlimit{Cur: unlimited, Max: unlimited}) == nil {
		flags |= syscall.MCL_FUTURE
	}
	if err := syscall.Mlockall(flags); err != nil {
		log(0, "warning: -k: can't lock memory: %v (ulimit -l)", err)
	}
}
