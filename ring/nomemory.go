package ring

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// ErrMemory is wrapped by errors that say that the kernel has no memory for a ring or for
// its list of buffers, both of which may count as locked memory. Failing to map memory is
// another error.
var ErrMemory = errors.New("no memory for a ring")

// DefaultMemoryWait is how long making a ring waits for memory unless Options say otherwise.
const DefaultMemoryWait = 3 * time.Second

// retryNoMemory calls f again while it fails for lack of memory, up to the given time. Rings count
// against the locked memory of their user until the kernel has freed them, which it does
// some time after they were closed: a server that is started again right after it was
// stopped may have to wait for its own past.
func retryNoMemory(until time.Time, f func() error) error {
	for pause := time.Millisecond; ; pause *= 2 {
		err := f()
		if !errors.Is(err, unix.ENOMEM) {
			return err
		}
		left := time.Until(until)
		if left <= 0 {
			return memoryError{err}
		}
		time.Sleep(min(pause, left))
	}
}

// memoryError is an ErrMemory that reads as its errno.
type memoryError struct{ error }

func (e memoryError) Unwrap() []error { return []error{ErrMemory, e.error} }
