package batch

import (
	"runtime"
	"testing"
	"time"

	"ringcached/ring"
)

// TestSubmitWhatIsTaken: the kernel's thread may have taken the entries before they are submitted. Nobody waits for it to take more.
func TestSubmitWhatIsTaken(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r, err := ring.New(ring.Options{Entries: 4, SQPoll: time.Second})
		if err != nil {
			done <- err
			return
		}
		e := &uringEngine{ch: &channel{config: &Config{Depth: 4}}, r: r}
		e.sqe().PrepNop()
		e.submitSome()
		e.submitSome()
		done <- r.Close()
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a submission of what was taken does not end")
	}
}
