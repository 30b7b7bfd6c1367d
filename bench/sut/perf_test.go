package sut

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// perfTaskClock are nanoseconds.
var perfTaskClock = perfEvent{unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_TASK_CLOCK}

// TestPerfCounter counts time instead of cycles, which every machine can.
func TestPerfCounter(t *testing.T) {
	c, err := CountProcess(perfTaskClock, os.Getpid())
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		t.Skipf("%v: run the test as root, or with /proc/sys/kernel/perf_event_paranoid at 2 or less", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	work := func() (used, counted time.Duration) {
		used0, err0 := CPUTime(os.Getpid())
		counted0, err1 := c.Read()
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		}
		used1, err2 := CPUTime(os.Getpid())
		counted1, err3 := c.Read()
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
	if _, err := CountProcess(perfTaskClock, 1<<30); err == nil {
		t.Error("a process that is not there was counted")
	}
	if n, err := (&PerfCounter{}).Read(); n != 0 || err != nil {
		t.Errorf("an empty counter: %d, %v", n, err)
	}
}

func TestStraceTotal(t *testing.T) {
	const summary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.002898          20       144           sendmsg
 40.00    0.001000          10       100        19 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.003898          15       244        19 total
`
	if n, err := straceTotal(summary); err != nil || n != 244 {
		t.Errorf("%g, %v", n, err)
	}
	if n, err := straceTotal("100.00    0.003898          15       244 total\n"); err != nil || n != 244 {
		t.Errorf("without errors: %g, %v", n, err)
	}
	if _, err := straceTotal("strace: attach: Operation not permitted\n"); err == nil {
		t.Error("a total was found where none is")
	}
}
