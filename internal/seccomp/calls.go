package seccomp

import "runtime"

// sysSeccomp is the number of seccomp(2), which package syscall leaves out; 0: not known for this architecture.
var sysSeccomp = map[string]uintptr{"amd64": 317, "arm64": 277, "loong64": 277, "ppc64le": 358, "riscv64": 277}[runtime.GOARCH]

// Numbers of newer system calls, which are the same on all of these.
const (
	sysPidfdOpen  = 434
	sysPidfdGetfd = 438
)
