package ring

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// noMemoryWait is how long making a ring waits for memory.
const noMemoryWait = 3 * time.Second

// retryNoMemory calls f again while it fails for lack of memory, for a while. Rings count
// against the locked memory of their user until the kernel has freed them, which it does
// some time after they were closed: a server that is started again right after it was
// stopped may have to wait for its own past.
func retryNoMemory(f func() error) error {
	for end, pause := time.Now().Add(noMemoryWait), time.Millisecond; ; pause *= 2 {
		err := f()
		if !errors.Is(err, unix.ENOMEM) || time.Now().After(end) {
			return err
		}
		time.Sleep(pause)
	}
}
