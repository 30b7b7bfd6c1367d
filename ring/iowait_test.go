package ring

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// sleepers is how many threads TestNoIOWait lets wait at once: more than a busy machine has waiting for its disks.
const sleepers = 64

// TestNoIOWait: a thread that waits for a client is idle. The kernel counts it as one that waits for a disk (procs_blocked of
// /proc/stat, iowait, I/O pressure) unless a flag says otherwise, so an idle server would look like a machine with a slow disk.
func TestNoIOWait(t *testing.T) {
	fs := probe(t)
	if !fs.Has(NoIOWait) {
		t.Skip("this kernel counts waiting threads as I/O wait: run the test on 6.15 or newer")
	}
	within := func(fs Features, ok func(blocked int) bool) bool {
		wake := sleep(t, fs)
		defer wake()
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if ok(blockedThreads(t)) {
				return true
			}
		}
		return false
	}
	if !within(fs.Only(^NoIOWait), func(blocked int) bool { return blocked >= sleepers }) {
		t.Errorf("never %d threads blocked, as the kernel counts those that wait without the flag: the test sees nothing", sleepers)
	}
	if !within(fs, func(blocked int) bool { return blocked < sleepers }) {
		t.Errorf("%d threads that wait for input count as blocked by I/O", sleepers)
	}
}

// sleep lets threads wait for input on a pipe, each in a ring of its own, and returns when all of them sleep. What it returns wakes them.
func sleep(t *testing.T, fs Features) (wake func()) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	threads, done := make(chan int), make(chan struct{})
	for range sleepers {
		go func() {
			defer func() { done <- struct{}{} }()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r, err := New(Options{Entries: 4, Features: fs})
			threads <- unix.Gettid()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			r.SQE().PrepPoll(pipe[0], unix.POLLIN, false)
			for r.Ready() == 0 {
				_ = r.Enter(1, -1)
			}
		}()
	}
	for range sleepers {
		for thread := <-threads; !t.Failed() && !inEnter(thread); {
			time.Sleep(time.Millisecond)
		}
	}
	return func() {
		_ = unix.Close(pipe[1])
		for range sleepers {
			<-done
		}
		_ = unix.Close(pipe[0])
	}
}

// inEnter reports that a thread of this process sleeps in io_uring_enter.
func inEnter(thread int) bool {
	call, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/syscall")
	return bytes.HasPrefix(call, []byte(strconv.Itoa(sys.SYS_IO_URING_ENTER)+" "))
}

// blockedThreads reads how many threads of the machine wait for I/O, as the kernel counts.
func blockedThreads(t *testing.T) int {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(stat, []byte("\nprocs_blocked "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
