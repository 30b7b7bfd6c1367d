package sut

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// affinity lists the cores that a thread may run on; 0 is the calling one.
func affinity(tid int) (cores []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	for c := 0; len(cores) < set.Count(); c++ {
		if set.IsSet(c) {
			cores = append(cores, c)
		}
	}
	return cores, nil
}

func setAffinity(tid int, cores []int) error {
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("pinning to cores %v: %w", cores, err)
	}
	return nil
}

// PinProcess moves all threads of this process to the given cores. Threads that start later inherit it. It goes round
// until a round finds no new thread, since one may be started by a thread that was not moved yet.
func PinProcess(cores []int) error {
	for done := map[int]bool{}; ; {
		tasks, err := threads(os.Getpid())
		tasks = slices.DeleteFunc(tasks, func(tid int) bool { return done[tid] })
		if err != nil || len(tasks) == 0 {
			return err
		}
		for _, tid := range tasks {
			if err := setAffinity(tid, cores); err != nil {
				return err
			}
			done[tid] = true
		}
	}
}

// threads lists the threads of a process.
func threads(pid int) (all []int, err error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			all = append(all, tid)
		}
	}
	return all, err
}

// UsableCores lists the cores that this process may run on.
func UsableCores() ([]int, error) { return affinity(os.Getpid()) }

// Cores says where a comparison runs what.
type Cores struct {
	Server []int `json:"server"`
	Load   []int `json:"load"`
}

// Shared reports that server and load have to share a core, which makes figures incomparable with those of other hosts.
func (c *Cores) Shared() bool {
	return slices.ContainsFunc(c.Load, func(n int) bool { return slices.Contains(c.Server, n) })
}

// Occupy chooses the cores that are not given, and moves this process to the load's. PinProcess(usable) undoes that.
func (c *Cores) Occupy(loadThreads int) (usable []int, err error) {
	if usable, err = UsableCores(); err != nil {
		return nil, err
	}
	chosen := chooseCores(usable, loadThreads, siblingsOf)
	if len(c.Server) == 0 {
		c.Server = chosen.Server
	}
	if len(c.Load) == 0 {
		c.Load = chosen.Load
	}
	return usable, PinProcess(c.Load)
}

// chooseCores gives the server the last usable core and the load the first ones, the server's hardware siblings last.
func chooseCores(usable []int, loadThreads int, siblings func(core int) []int) Cores {
	server := usable[len(usable)-1]
	var load, near []int
	for _, c := range usable[:len(usable)-1] {
		if slices.Contains(siblings(server), c) {
			near = append(near, c)
		} else {
			load = append(load, c)
		}
	}
	if load = append(load, near...); len(load) == 0 {
		load = []int{server}
	}
	return Cores{Server: []int{server}, Load: load[:min(len(load), max(loadThreads, 1))]}
}

// siblingsOf lists the hardware threads of the core's physical core, only itself where the system does not say.
func siblingsOf(core int) []int {
	list, err := ParseCores(firstLine(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core)))
	if err != nil {
		return []int{core}
	}
	return list
}

// mostCores is how many cores the kernel's sets of them have.
const mostCores = 1024

// ParseCores reads a list such as "0,2-3".
func ParseCores(s string) (cores []int, err error) {
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		a, aerr := strconv.Atoi(low)
		b, berr := strconv.Atoi(high)
		if aerr != nil || berr != nil || a < 0 || b < a || b >= mostCores {
			return nil, fmt.Errorf("%q is not a list of cores such as 0,2-3", s)
		}
		for ; a <= b; a++ {
			cores = append(cores, a)
		}
	}
	return cores, nil
}
