package seccomp

// Numbers of system calls that package syscall leaves out.
const (
	sysSeccomp    = 277
	sysPidfdOpen  = 434
	sysPidfdGetfd = 438
)
