package sut

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// cpuMask is the kernel's cpu_set_t for up to 1024 cores.
type cpuMask [16]uint64

func maskOf(cores []int) (m cpuMask) {
	for _, c := range cores {
		m[c/64] |= 1 << (c % 64)
	}
	return m
}

func (m *cpuMask) cores() (cores []int) {
	for c := range len(m) * 64 {
		if m[c/64]&(1<<(c%64)) != 0 {
			cores = append(cores, c)
		}
	}
	return cores
}

// Affinity returns the mask of a thread; 0 is the calling one.
func Affinity(tid int) (m cpuMask, err error) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, uintptr(tid), unsafe.Sizeof(m), uintptr(unsafe.Pointer(&m)))
	if errno != 0 {
		return m, fmt.Errorf("sched_getaffinity: %w", errno)
	}
	return m, nil
}

func setAffinity(tid int, m cpuMask) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(m), uintptr(unsafe.Pointer(&m)))
	if errno != 0 {
		return fmt.Errorf("pinning to cores %v: %w", m.cores(), errno)
	}
	return nil
}

// PinProcess moves all threads of this process to the given cores. Threads that start later inherit it. It goes round until a round finds no new
// thread, since one may be started by a thread that was not moved yet.
func PinProcess(cores []int) error {
	m := maskOf(cores)
	done := make(map[int]bool)
	for again := true; again; {
		again = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := setAffinity(tid, m); err != nil {
				return err
			}
			done[tid], again = true, true
		}
	}
	return nil
}

// UsableCores lists the cores that this process may run on.
func UsableCores() ([]int, error) {
	m, err := Affinity(os.Getpid())
	if err != nil {
		return nil, err
	}
	return m.cores(), nil
}

// Cores says where a comparison runs what.
type Cores struct {
	Server []int `json:"server"`
	Load   []int `json:"load"`
}

// Shared reports that server and load have to share a core, which makes figures incomparable with those of other hosts.
func (c *Cores) Shared() bool {
	return slices.ContainsFunc(c.Load, func(n int) bool { return slices.Contains(c.Server, n) })
}

// choose fills the lists that are empty.
func (c *Cores) choose(usable []int, loadThreads int) {
	chosen := chooseCores(usable, loadThreads, siblingsOf)
	if len(c.Server) == 0 {
		c.Server = chosen.Server
	}
	if len(c.Load) == 0 {
		c.Load = chosen.Load
	}
}

// Occupy chooses the cores that are not given, and moves this process to those of the load. The result are the cores that it had, for
// PinProcess when the load has ended.
func (c *Cores) Occupy(loadThreads int) (usable []int, err error) {
	if usable, err = UsableCores(); err != nil {
		return nil, err
	}
	c.choose(usable, loadThreads)
	return usable, PinProcess(c.Load)
}

// chooseCores gives the server the last usable core and the load the first ones that are not the same physical core.
func chooseCores(usable []int, loadThreads int, siblings func(core int) []int) Cores {
	server := usable[len(usable)-1]
	near := siblings(server)
	var load, second []int
	for _, c := range usable {
		switch {
		case c == server:
		case slices.Contains(near, c):
			second = append(second, c)
		default:
			load = append(load, c)
		}
	}
	load = append(load, second...)
	if len(load) == 0 {
		load = []int{server}
	}
	return Cores{Server: []int{server}, Load: load[:min(len(load), max(loadThreads, 1))]}
}

// siblingsOf lists the hardware threads of the core's physical core, itself included; only itself where the system does not say.
func siblingsOf(core int) []int {
	text, err := os.ReadFile(filepath.Join("/sys/devices/system/cpu", fmt.Sprintf("cpu%d", core), "topology/thread_siblings_list"))
	if err != nil {
		return []int{core}
	}
	list, err := ParseCores(strings.TrimSpace(string(text)))
	if err != nil {
		return []int{core}
	}
	return list
}

// ParseCores reads a list such as "0,2-3".
func ParseCores(s string) ([]int, error) {
	var cores []int
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(low)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(high)
		}
		if err != nil || a < 0 || b < a || b >= len(cpuMask{})*64 {
			return nil, fmt.Errorf("%q is not a list of cores such as 0,2-3", s)
		}
		for ; a <= b; a++ {
			cores = append(cores, a)
		}
	}
	return cores, nil
}
