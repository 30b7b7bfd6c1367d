package batch

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// complainEvery is how often the same complaint is made at most.
const complainEvery = time.Minute

// complaints are what goes wrong again and again, and was logged.
type complaints struct {
	mu   sync.Mutex
	made map[complaint]time.Time
}

type complaint struct{ what, why string }

// complain logs that something fails, for all channels together once in a while.
func (s *Server) complain(what string, err error) {
	c := &s.complaints
	c.mu.Lock()
	now := time.Now()
	about := complaint{what, err.Error()}
	last, made := c.made[about]
	due := !made || now.Sub(last) >= complainEvery
	if due {
		if c.made == nil {
			c.made = map[complaint]time.Time{}
		}
		c.made[about] = now
	}
	c.mu.Unlock()
	if due {
		s.config.log(0, "%s: %v", what, err)
	}
}

// lost closes a connection on which an operation failed. Most often that is the peer's affair; a permission is ours.
func (ch *channel) lost(c *conn, what string, errno syscall.Errno) {
	if denied(errno) {
		ch.server.complain(what, errno)
	}
	ch.kill(c)
}

// denied reports that the kernel, or a filter, does not allow an operation.
func denied(errno syscall.Errno) bool { return errno == unix.EACCES || errno == unix.EPERM }
