package sut

import (
	"os"
	"slices"
	"testing"
	"time"
)

// TestCPUSourcesAgree lets a child burn CPU and reads it by every source.
func TestCPUSourcesAgree(t *testing.T) {
	p, _ := startShell(t, "while :; do :; done")
	// The clock is read first and last: the others are in between.
	sources := []string{cpuClock, cpuSchedstat, cpuTicks, cpuClock}
	const last = 3
	read := func() (all []time.Duration) {
		for _, s := range sources {
			d, err := (&CPUReader{PID: p.PID, Source: s}).Read()
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			all = append(all, d)
		}
		return all
	}
	begin := time.Now()
	before := read()
	time.Sleep(500 * time.Millisecond)
	after := read()
	least, most := after[0]-before[last], after[last]-before[0]
	// Others may use the core too, so there is no telling how much the child got, but not more than there was.
	if passed := time.Since(begin); most < 20*time.Millisecond || least > passed {
		t.Fatalf("%v of CPU time in %v", least, passed)
	}
	const grain = 100 * time.Millisecond // ticks, and what a running process has not been charged for yet
	for i, s := range sources {
		if d := after[i] - before[i]; d < least-grain || d > most+grain {
			t.Errorf("%s says %v, the clock %v to %v", s, d, least, most)
		}
	}
}

func TestCPUReaderChoosesTheClock(t *testing.T) {
	r, err := NewCPUReader(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if r.Source != cpuClock {
		t.Errorf("source is %s", r.Source)
	}
	if _, err := NewCPUReader(1 << 22); err == nil {
		t.Error("a process that cannot be was read")
	}
}

func TestCoreTimes(t *testing.T) {
	p, core := startShell(t, "while :; do :; done")
	before, err := ReadCoreTimes([]int{core})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	after, err := ReadCoreTimes([]int{core})
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	if use := after.Since(before); use.Busy+use.Steal < 0.7 || use.Busy > 1 {
		t.Errorf("a core with a busy loop on it: %+v", use)
	}
	if none, err := ReadCoreTimes([]int{1000}); err != nil || none != (CoreTimes{}) {
		t.Errorf("a core that is not there: %+v, %v", none, err)
	}
}

func TestChooseCores(t *testing.T) {
	alone := func(core int) []int { return []int{core} }
	pairs := func(core int) []int { return []int{core &^ 1, core | 1} }
	for _, c := range []struct {
		name     string
		usable   []int
		threads  int
		siblings func(int) []int
		want     Cores
		shared   bool
	}{
		{"two cores", []int{0, 1}, 1, alone, Cores{[]int{1}, []int{0}}, false},
		{"one core", []int{3}, 1, alone, Cores{[]int{3}, []int{3}}, true},
		{"hyperthreads", []int{0, 1, 2, 3}, 1, pairs, Cores{[]int{3}, []int{0}}, false},
		{"hyperthreads, many load threads", []int{0, 1, 2, 3}, 9, pairs, Cores{[]int{3}, []int{0, 1, 2}}, false},
		{"one core of two hyperthreads", []int{0, 1}, 1, pairs, Cores{[]int{1}, []int{0}}, false},
	} {
		got := chooseCores(c.usable, c.threads, c.siblings)
		if !slices.Equal(got.Server, c.want.Server) || !slices.Equal(got.Load, c.want.Load) || got.Shared() != c.shared {
			t.Errorf("%s: %+v, shared %v", c.name, got, got.Shared())
		}
	}
}

func TestParseCores(t *testing.T) {
	if got, err := ParseCores("0,2-4"); err != nil || !slices.Equal(got, []int{0, 2, 3, 4}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "1-", "3-2", "-1", "9999", "1,,2"} {
		if got, err := ParseCores(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}
