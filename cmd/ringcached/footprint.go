package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// gcPercent fits the garbage collector to a process whose data lies outside its heap: what is in there are connection
// records and little else. It hardly ever grows, so collecting it early costs nothing: at 1 MiB instead of 4. (Package
// batch sees to it that there are more processors than channels.)
const gcPercent = 25

// slim gives back what only the start needed: its garbage, and those pages of the program that it touched. GOGC still
// overrides gcPercent.
func slim() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return // no /proc: nothing is lost but memory
	}
	defer maps.Close()
	for _, r := range untouchedFiles(maps) {
		// Locked memory (-k) refuses, and stays.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, r.start, r.size, syscall.MADV_DONTNEED)
	}
}

const (
	// relieveFrom is by how many bytes the heap has to have grown for its garbage to be worth a collection.
	relieveFrom = 4 << 20
	relieveTick = 2 * time.Second
	relieveMost = 32 // ticks from one attempt in vain to the next, at the most
)

// keepSlim gives back what Go's heap had for a crowd that is gone, until ctx ends. Nobody allocates then, so that Go itself would wait
// two minutes before it looks for garbage. conns is how many connections there are.
func keepSlim(ctx context.Context, conns func() uint64) {
	ticker := time.NewTicker(relieveTick)
	defer ticker.Stop()
	left, had := heapBytes(), conns()
	for wait, since := 1, 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		since++
		now := conns()
		gone := now < had/2
		had = max(had, now)
		before := heapBytes()
		if before < relieveFrom || since < wait && !gone || before < left+relieveFrom && !gone {
			continue
		}
		runtime.GC() // what pools hold is garbage for the next collection
		debug.FreeOSMemory()
		since, had, left = 0, now, heapBytes()
		if wait = min(2*wait, relieveMost); before-min(before, left) > before/4 {
			wait = 1
		}
	}
}

// heapBytes is what Go's heap takes of the system's memory.
func heapBytes() (sum uint64) {
	classes := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(classes)
	for _, c := range classes {
		sum += c.Value.Uint64()
	}
	return sum
}

// addressRange is a mapping.
type addressRange struct{ start, size uintptr }

// untouchedFiles finds in smaps the mappings of files that are as in the file and stay so: not writable, and without a
// page of their own, which a relocation or a breakpoint makes. Such pages can be dropped at any time: they come back
// from the page cache when they are next used.
func untouchedFiles(smaps io.Reader) (found []addressRange) {
	var r addressRange // of the mapping whose lines are being read; size 0: not one of these
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) >= 5 && strings.Contains(f[0], "-"):
			// 00400000-006a2000 r-xp 00000000 fe:00 9980135 /usr/bin/ringcached
			low, high, _ := strings.Cut(f[0], "-")
			start, err := strconv.ParseUint(low, 16, 64)
			end, err2 := strconv.ParseUint(high, 16, 64)
			r = addressRange{uintptr(start), uintptr(end - start)}
			if err != nil || err2 != nil || f[1][1] != '-' || f[4] == "0" {
				r = addressRange{}
			}
		case len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0" && r.size > 0:
			found = append(found, r)
		}
	}
	return found
}
