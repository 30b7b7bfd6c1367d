package process

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
)

// A new server is started by a launcher, a process between the old server and the new one. As long as the old server wants to know how the new
// one ends, the launcher waits for it. Then the launcher ends, and the kernel makes the new server a child of whoever takes in orphans: of
// systemd, for which a main process that is not its child is one whose end it may not notice. Both the launcher, and the process that becomes
// the new server, begin as this program.
const (
	// launchVariable in the environment makes a process the launcher of the program that it names.
	launchVariable = "RINGCACHED_LAUNCH"
	// successorVariable makes a process become the program that it names. systemd's way of passing descriptors wants to have the process id in
	// the environment, and that is known only in the process.
	successorVariable = "RINGCACHED_SUCCESSOR"
)

// ownProgram is the program that runs, whatever has become of its file.
const ownProgram = "/proc/self/exe"

// PlayPart makes this process a launcher or a new server, if the environment says so.
func PlayPart() {
	var err error
	if program, named := os.LookupEnv(launchVariable); named {
		_ = os.Unsetenv(launchVariable)
		err = launchSuccessor(program)
	} else if program, named := os.LookupEnv(successorVariable); named {
		_ = os.Unsetenv(successorVariable)
		err = becomeSuccessor(program)
	} else {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// launchSuccessor starts a process that becomes the program, and tells the old server how it ended, or ends before, when the old server says
// so by closing its end. When the process ends, or the old server gives it up by saying a word, all that it has started
// ends with it. The descriptors for the new server are followed by that on which it tells.
func launchSuccessor(program string) error {
	passed, err := strconv.Atoi(os.Getenv(ListenFDs))
	if err != nil {
		return err
	}
	becomeSubreaper()
	// Signals may be for the whole group of processes. This one ends when the others have.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	control := firstListenFD + passed
	syscall.CloseOnExec(control)
	var files []uintptr
	for fd := range control {
		files = append(files, uintptr(fd))
	}
	pid, err := syscall.ForkExec(ownProgram, os.Args, &syscall.ProcAttr{Env: append(os.Environ(), successorVariable+"="+program), Files: files})
	for fd := firstListenFD; fd < control; fd++ {
		_ = syscall.Close(fd) // their end is the new server's to make
	}
	if err != nil {
		return os.NewSyscallError("fork", err)
	}
	old := os.NewFile(uintptr(control), "old server")
	process, _ := os.FindProcess(pid) // it never fails on Linux
	var ending sync.Mutex             // held by the goroutine that ends this process
	go func() {
		state, err := process.Wait()
		ending.Lock()
		left := killOffspring()
		if err == nil {
			fmt.Fprint(old, state)
		}
		if left > 0 {
			fmt.Fprintf(old, ", and has left %d processes that can't be killed", left)
		}
		os.Exit(0)
	}()
	if n, _ := old.Read(make([]byte, 1)); n > 0 {
		_ = process.Kill()
		select {} // until it has been waited for
	}
	ending.Lock()
	return nil
}

// becomeSuccessor becomes the program, once the old server knows the process.
func becomeSuccessor(program string) error {
	passed, err := strconv.Atoi(os.Getenv(ListenFDs))
	if err != nil {
		return err
	}
	talk := firstListenFD + passed - 1
	pid := strconv.Itoa(os.Getpid())
	_, _ = syscall.Write(talk, []byte(pid+"\n"))
	if n, err := syscall.Read(talk, make([]byte, 1)); n != 1 || err != nil {
		os.Exit(1) // the old server stops, or has ended
	}
	_ = os.Setenv(ListenPID, pid)
	signal.Ignore(syscall.SIGUSR2) // until the program listens for it: it would end the process
	err = syscall.Exec(program, os.Args, os.Environ())
	return &os.PathError{Op: "exec", Path: program, Err: err}
}
