package seccomp

// Numbers of system calls that package syscall leaves out.
const (
	sysSeccomp    = 317
	sysPidfdOpen  = 434
	sysPidfdGetfd = 438
)
