package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

// Rule refuses a system call.
type Rule struct {
	Call  uintptr       // its number
	Arg   int           // the argument that counts, from 0 on; below 0: none
	Value uint32        // of that argument
	Errno syscall.Errno // what the call returns; 0: a Supervisor decides
}

// plan is what Become does: one of both, and then the program.
type plan struct {
	Rules   []Rule
	Deny    []uint8 // operations of io_uring
	Program string
}

// variable holds the plan, for a process that is to become another program.
const variable = "RINGCACHED_TEST_SECCOMP"

// Command is exec.Command for a program under these rules.
func Command(rules []Rule, program string, args ...string) *exec.Cmd {
	return command(plan{Rules: rules, Program: program}, args)
}

// CommandWithout is exec.Command for a program whose rings may not do these operations (IORING_OP_). On kernels before 7.0 it
// exits with NotThere.
func CommandWithout(operations []uint8, program string, args ...string) *exec.Cmd {
	return command(plan{Deny: operations, Program: program}, args)
}

// NotThere is the exit code where the kernel has no such filter.
const NotThere = 77

func command(p plan, args []string) *exec.Cmd {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	return cmd
}

// Become installs the filters and becomes the program, if the process was started by Command. Otherwise it returns.
func Become() {
	text, started := os.LookupEnv(variable)
	if !started {
		return
	}
	_ = os.Unsetenv(variable)
	err := become(text)
	fmt.Fprintln(os.Stderr, "seccomp:", err)
	if errors.Is(err, errors.ErrUnsupported) {
		os.Exit(NotThere)
	}
	os.Exit(1)
}

func become(text string) error {
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	runtime.LockOSThread() // whose filters they are, and who becomes the program
	const prSetNoNewPrivs = 38
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	for _, op := range p.Deny {
		if err := denyOperation(op); err != nil {
			return err
		}
	}
	if len(p.Rules) > 0 {
		if err := install(p.Rules); err != nil {
			return err
		}
	}
	return syscall.Exec(p.Program, append([]string{p.Program}, os.Args[1:]...), os.Environ())
}

// instruction is struct sock_filter, program is struct sock_fprog.
type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

type program struct {
	length uint16
	first  *instruction
}

// Codes of classic BPF, and what a seccomp filter returns.
const (
	load        = 0x20 // BPF_LD | BPF_W | BPF_ABS
	jumpIfEqual = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	giveBack    = 0x06 // BPF_RET | BPF_K

	retErrno  = 0x00050000
	retNotify = 0x7fc00000
	retAllow  = 0x7fff0000
)

// install installs a filter for the calling thread. Rules that leave the decision to a Supervisor make it listenFD.
func install(rules []Rule) error {
	if sysSeccomp == 0 {
		return fmt.Errorf("the number of seccomp(2) is not known for %s: add it to calls.go", runtime.GOARCH)
	}
	const offsetNumber, offsetArgs = 0, 16 // of struct seccomp_data
	var code []instruction
	notify := false
	for _, r := range rules {
		answer := uint32(retErrno) | uint32(r.Errno)
		if r.Errno == 0 {
			answer, notify = retNotify, true
		}
		code = append(code, instruction{code: load, k: offsetNumber})
		if r.Arg < 0 {
			code = append(code, instruction{jumpIfEqual, 0, 1, uint32(r.Call)})
		} else {
			code = append(code, instruction{jumpIfEqual, 0, 3, uint32(r.Call)},
				instruction{code: load, k: uint32(offsetArgs + 8*r.Arg)}, instruction{jumpIfEqual, 0, 1, r.Value}) // the lower half
		}
		code = append(code, instruction{code: giveBack, k: answer})
	}
	code = append(code, instruction{code: giveBack, k: retAllow})
	prog := program{uint16(len(code)), &code[0]}
	const setModeFilter, newListener = 1, 1 << 3
	flags := uintptr(0)
	if notify {
		flags = newListener
	}
	fd, _, errno := syscall.RawSyscall(sysSeccomp, setModeFilter, flags, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(code)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	if notify {
		return os.NewSyscallError("dup3", syscall.Dup3(int(fd), listenFD, 0)) // stays open in the program
	}
	return nil
}

// denyOperation registers a filter that denies an operation on all rings that the calling thread will make, and what it starts.
func denyOperation(op uint8) error {
	const (
		ioURingRegister     = 427 // on every architecture that Go runs on
		registerBPFFilter   = 37
		bpfCommandFilter    = 1
		everyRing           = ^uintptr(0)
		returnZeroIsDenied  = 0
		sizeOfRegistrations = 72
	)
	code := instruction{code: giveBack, k: returnZeroIsDenied}
	registration := struct {
		command, commandFlags uint16
		resv                  uint32
		opcode, flags, length uint32
		pduSize               uint8
		resv1                 [3]uint8
		filter                *instruction
		resv2                 [5]uint64
	}{command: bpfCommandFilter, opcode: uint32(op), length: 1, filter: &code}
	if unsafe.Sizeof(registration) != sizeOfRegistrations {
		return errors.New("struct io_uring_bpf has another size here")
	}
	_, _, errno := syscall.RawSyscall6(ioURingRegister, everyRing, registerBPFFilter, uintptr(unsafe.Pointer(&registration)), 1, 0, 0)
	runtime.KeepAlive(&code)
	switch errno {
	case 0:
		return nil
	case syscall.EINVAL, syscall.EBADF, syscall.ENOSYS:
		return fmt.Errorf("filters of io_uring's operations (requires >= 7.0): %w", errors.ErrUnsupported)
	}
	return os.NewSyscallError("io_uring_register", errno)
}

// sysSeccomp is the number of seccomp(2), which package syscall leaves out; 0: not known for this architecture.
var sysSeccomp = map[string]uintptr{"amd64": 317, "arm64": 277, "loong64": 277, "ppc64le": 358, "riscv64": 277}[runtime.GOARCH]

// Numbers of newer system calls, which are the same on all of these.
const (
	sysPidfdOpen  = 434
	sysPidfdGetfd = 438
)
