package sut

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestCPUTime lets a child burn CPU: what it used is between what the scheduler had charged to its threads before and after.
func TestCPUTime(t *testing.T) {
	p, _ := startShell(t, "while :; do :; done")
	charged := func() (sum time.Duration) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", p.PID))
		if _, serr := fmt.Sscan(string(text), &sum); err != nil || serr != nil {
			t.Fatal(err, serr)
		}
		return sum
	}
	begin := time.Now()
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		before := charged()
		used, err := CPUTime(p.PID)
		const grain = 50 * time.Millisecond // what a running process has not been charged for yet
		if after := charged(); err != nil || used < before-grain || used > after+grain || used > time.Since(begin)+time.Second {
			t.Errorf("%v, %v used, %v to %v charged", err, used, before, after)
		}
	}
	if _, err := CPUTime(1 << 22); err == nil {
		t.Error("a process that cannot be was read")
	}
}

// TestRunDelay: two that want one core wait for it, and a process that is not there does not.
func TestRunDelay(t *testing.T) {
	p, core := startShell(t, "while :; do :; done")
	other, err := startProcess([]string{"/bin/sh", "-c", "while :; do :; done"}, []int{core}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.stop(syscall.SIGKILL) })
	before := RunDelay(p.PID)
	time.Sleep(500 * time.Millisecond)
	if waited := RunDelay(p.PID) - before; waited < 20*time.Millisecond {
		t.Errorf("it waited for %v", waited)
	}
	if d := RunDelay(1 << 22); d != 0 {
		t.Errorf("nobody waited for %v", d)
	}
}

func TestCoreTimes(t *testing.T) {
	cores, err := UsableCores()
	if err != nil {
		t.Fatal(err)
	}
	before, err := ReadCoreTimes(cores)
	if err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 30*time.Second, func() error {
		after, err := ReadCoreTimes(cores)
		if err == nil && after.all <= before.all {
			err = fmt.Errorf("%+v, before %+v", after, before)
		}
		if stolen := after.StolenSince(before); stolen < 0 || stolen > 1 {
			t.Errorf("%v of the time was stolen", stolen)
		}
		return err
	})
	if got := (CoreTimes{300, 60}).StolenSince(CoreTimes{100, 10}); got != 0.25 {
		t.Errorf("50 ticks of 200 are %v", got)
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
