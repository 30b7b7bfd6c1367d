package bench

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestPerfCounter counts time instead of cycles, which every machine can.
func TestPerfCounter(t *testing.T) {
	c, err := countProcess(perfTaskClock, os.Getpid())
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		t.Skipf("%v: run the test as root, or with /proc/sys/kernel/perf_event_paranoid at 2 or less", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	work := func() (used, counted time.Duration) {
		used0, err0 := processClock(os.Getpid())
		counted0, err1 := c.read()
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		}
		used1, err2 := processClock(os.Getpid())
		counted1, err3 := c.read()
		if err := errors.Join(err0, err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return used1 - used0, time.Duration(counted1 - counted0)
	}
	used, counted := work()
	if counted < used/2 || counted > 2*used+10*time.Millisecond {
		t.Errorf("counted %v, the process used %v", counted, used)
	}
}

func TestPerfCounterOfNobody(t *testing.T) {
	if _, err := countProcess(perfTaskClock, 1<<30); err == nil {
		t.Error("a process that is not there was counted")
	}
	if n, err := (&perfCounter{}).read(); n != 0 || err != nil {
		t.Errorf("an empty counter: %d, %v", n, err)
	}
}
