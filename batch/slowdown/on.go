//go:build slowdown

package slowdown

import (
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// percent is by how much a build with the tag slowdown is slower than one without. The linker sets it: -ldflags "-X
// ringcached/batch/slowdown.percent=3". Such servers show whether a comparison tells a small difference (scripts/check-comparison).
var percent = "0"

// Thread makes a thread use more CPU time for each quantum of a connection, by percent of what a quantum takes without.
type Thread struct {
	quanta     int           // since the last look
	used       time.Duration // CPU time of the thread at the last look
	iterations int           // to spin in each quantum
}

// lookEvery is how many quanta pass between two looks at the thread's CPU time.
const lookEvery = 2048

// Quantum spins for a quantum.
func (s *Thread) Quantum() {
	spin(s.iterations)
	if s.quanta++; s.quanta < lookEvery {
		return
	}
	part, err := strconv.ParseFloat(percent, 64)
	if err != nil {
		panic("slowdown: percent: " + err.Error())
	}
	used := threadTime()
	if s.used > 0 && part > 0 {
		each := float64(used-s.used)/lookEvery - float64(s.iterations)*nanosecondsPerIteration
		s.iterations = max(int(each*part/100/nanosecondsPerIteration), 1)
	}
	s.quanta, s.used = 0, used
}

//go:noinline
func spin(iterations int) (x int) {
	for i := range iterations {
		x ^= i
	}
	return x
}

// nanosecondsPerIteration is measured once: the least of some tries, as others may have the core meanwhile.
var nanosecondsPerIteration = func() float64 {
	const iterations = 100_000
	least := time.Hour
	for range 20 {
		began := time.Now()
		spin(iterations)
		least = min(least, time.Since(began))
	}
	return float64(least.Nanoseconds()) / iterations
}()

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var ts syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&ts)), 0) // cannot fail
	return time.Duration(ts.Nano())
}
