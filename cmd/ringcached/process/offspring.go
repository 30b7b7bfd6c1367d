package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// A new server that is given up may have started others: a program that is started in its place is often a script. They could hold the sockets
// and files that it got. A process group would not hold them together, since any process may leave it, and a signal of the terminal's would not
// reach the group. So the launcher is the one to whom the kernel gives the orphans among its descendants.

const (
	setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER of linux/prctl.h
	// offspringTime is how long the launcher tries to end them.
	offspringTime = 5 * time.Second
)

// becomeSubreaper makes orphans among the descendants of this process its children. Where that fails they are left alone.
func becomeSubreaper() { _, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0) }

// killOffspring kills all descendants of this process, and returns how many are left.
func killOffspring() (left int) {
	for end := time.Now().Add(offspringTime); ; time.Sleep(time.Millisecond) {
		descendants := offspring(os.Getpid())
		if len(descendants) == 0 || time.Now().After(end) {
			return len(descendants)
		}
		for _, pid := range descendants {
			kill(pid)
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // if it is a child
		}
	}
}

// kill kills a process that descends from this one, unless it has ended, and the number is another's.
func kill(pid int) {
	process, err := os.FindProcess(pid) // from here on it is the same
	if err != nil {
		return
	}
	defer func() { _ = process.Release() }()
	for p := pid; p > 1; p = parent(p) {
		if p == os.Getpid() {
			_ = process.Kill()
			return
		}
	}
}

// offspring returns the descendants of a process.
func offspring(of int) (found []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	children := map[int][]int{}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			p := parent(pid)
			children[p] = append(children[p], pid)
		}
	}
	found = children[of]
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// parent returns the parent of a process; 0: it has none, or is gone.
func parent(pid int) (p int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	var state byte
	_, _ = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", &state, &p) // the name may have brackets
	return p
}
