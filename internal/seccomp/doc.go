// Package seccomp starts programs that the kernel refuses something, for tests: system calls by a seccomp filter, operations of io_uring
// by a filter of that kind, which kernels have from 7.0 on.
//
// A filter belongs to a process and is never taken away, so the test's own program is started once more, installs it, and becomes the
// program that is meant. TestMain has to call Become for that, as servertest.Main does.
package seccomp
