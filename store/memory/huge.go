package memory

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	hugeFolder = "/sys/kernel/mm/transparent_hugepage/"

	hugeLeast = 1 << 20 // bytes of a huge page
	hugeMost  = 2 << 20 // a larger one takes longer to fill than others should wait

	hugeLooks = 256 // how many huge pages' memory a slice looks at
	hugeNext  = time.Millisecond

	// hugeShare is the part of the time in which a huge page is made, at the most, as a divisor.
	hugeShare = 100
	hugePause = 10 * time.Second // at the most: one that takes long because others have the cores makes others wait, too

	hugeRest     = time.Second // between two passes, and after a failure
	hugeRestMost = time.Minute // the rest doubles up to this with each further failure
)

// HugePages makes huge pages of memory that is all in use. What lies in small pages costs the processor a walk through page tables nearly each
// time that somebody asks for it, where keys are chosen at random. Memory that is all in use takes no more of it as a huge page, unlike huge pages
// from the start. To make one takes the kernel some tenths of a millisecond, in which those that use its memory wait, so all happens in slices, of
// one at the most, with pauses. All but Bytes and Failures is for one goroutine at a time.
type HugePages struct {
	size     int64   // of a huge page in bytes
	areas    []*area // none: huge pages are not made
	warm     func(n int64)
	collapse func(m *Mapping, off, n int64) error
	allowed  func() bool

	area  int   // where the search goes on
	place int64 // there, in huge pages
	until time.Time
	rest  time.Duration // after the last failure; 0: there was none since one was made
	works bool          // one was made

	bytes    atomic.Int64
	failures atomic.Uint64
}

// area is memory of which huge pages can be made.
type area struct {
	memory *Mapping
	used   func() int64
	all    func(off int64) bool
	made   []bool // by place
	end    int64  // used, when the search got here
}

// NewHugePages makes huge pages of what Add adds, where the kernel has some that are not too large.
func NewHugePages() *HugePages {
	h := &HugePages{size: CollapsibleSize(), warm: warmHugePage, collapse: (*Mapping).Collapse}
	h.allowed = func() bool { return HugePagesAllowed(h.size) }
	return h
}

// Add adds anonymous memory, which begins where a huge page does. used says how many bytes from the beginning have been in use; all reports whether
// the n bytes at off, one huge page, are in use to the last, nil: all below used are.
func (h *HugePages) Add(m *Mapping, used func() int64, all func(off, n int64) bool) {
	if h.size == 0 {
		return
	}
	a := &area{memory: m, used: used, made: make([]bool, int64(len(m.mem))/h.size)}
	a.all = func(off int64) bool { return all == nil || all(off, h.size) }
	h.areas = append(h.areas, a)
}

// Bytes is how much memory was made huge pages of, and not given back since.
func (h *HugePages) Bytes() uint64 { return uint64(h.bytes.Load()) }

// Failures is how often it could not.
func (h *HugePages) Failures() uint64 { return h.failures.Load() }

// Slice makes a huge page, or looks for memory to make one of, and returns how long to wait before the next slice; before that nothing happens.
func (h *HugePages) Slice(now time.Time) (pause time.Duration) {
	if len(h.areas) == 0 {
		return hugeRestMost
	}
	if left := h.until.Sub(now); left > 0 {
		return left
	}
	pause = h.step()
	h.until = now.Add(pause)
	return pause
}

// step makes the next huge page, if there is one among the next hugeLooks that are not made, and returns how long to wait then.
func (h *HugePages) step() (pause time.Duration) {
	for looks := 0; looks < hugeLooks; {
		if h.area == len(h.areas) {
			h.area, h.place = 0, 0
			return hugeRest
		}
		a, place := h.areas[h.area], h.place
		if place == 0 {
			a.end = min(a.used(), int64(a.memory.Size()))
		}
		if (place+1)*h.size > a.end {
			h.area, h.place = h.area+1, 0
			continue
		}
		h.place++
		if a.made[place] {
			continue
		}
		looks++
		if a.all(place * h.size) {
			return h.make(a, place)
		}
	}
	return hugeNext
}

// make makes a huge page, and returns how long to wait before the next. If that fails the wait is long, and twice as long each time, since the kernel
// looks hard for a huge page: memory is short or in pieces, or a cgroup's limit is reached. A kernel that cannot do it is never asked again.
func (h *HugePages) make(a *area, place int64) (pause time.Duration) {
	if !h.allowed() {
		return hugeRestMost
	}
	h.warm(h.size)
	begin := time.Now() // of what others may wait for
	err := h.collapse(a.memory, place*h.size, h.size)
	switch {
	case err == nil:
		a.made[place] = true
		h.bytes.Add(h.size)
		h.rest, h.works = 0, true
		return min(hugeShare*time.Since(begin), hugePause)
	case errors.Is(err, syscall.EINVAL) && !h.works:
		h.areas = nil
	}
	h.failures.Add(1)
	h.rest = min(max(2*h.rest, hugeRest), hugeRestMost)
	return h.rest
}

// Forget says that n bytes of a mapping are given back to the system: it splits the huge pages that have a part of them.
func (h *HugePages) Forget(m *Mapping, off, n int64) {
	for _, a := range h.areas {
		if a.memory != m {
			continue
		}
		for place := off / h.size; place*h.size < off+n && place < int64(len(a.made)); place++ {
			if a.made[place] {
				a.made[place] = false
				h.bytes.Add(-h.size)
			}
		}
	}
}

// HugePageSize is the size of a huge page in bytes, 0 where there are none, or /sys does not say.
var HugePageSize = sync.OnceValue(func() int64 {
	text, err := os.ReadFile(hugeFolder + "hpage_pmd_size")
	if err != nil {
		return 0
	}
	size, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 30)
	if err != nil || size&(size-1) != 0 {
		return 0
	}
	return int64(size)
})

// CollapsibleSize is the size of huge pages that HugePages makes, 0 if it makes none.
func CollapsibleSize() int64 {
	if size := HugePageSize(); size >= hugeLeast && size <= hugeMost {
		return size
	}
	return 0
}

// HugePagesAllowed reports whether the operator lets programs that ask for huge pages of a size have them, since the kernel does not look when one is
// made of memory that is in use.
func HugePagesAllowed(size int64) bool { return allowedIn(hugeFolder, size) }

// allowedIn reads the settings. Since Linux 6.8 each size has one of its own, which may inherit the general one.
func allowedIn(folder string, size int64) bool {
	set := chosenIn(fmt.Sprintf("%shugepages-%dkB/enabled", folder, size>>10))
	if set == "" || set == "inherit" {
		set = chosenIn(folder + "enabled")
	}
	return set == "always" || set == "madvise"
}

// chosenIn is the word in brackets in a file of /sys, "" if there is none.
func chosenIn(path string) string {
	text, _ := os.ReadFile(path)
	_, rest, _ := strings.Cut(string(text), "[")
	word, _, _ := strings.Cut(rest, "]")
	return word
}
