package batch

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

// Choice is an engine and why it was taken.
type Choice struct {
	Engine   string
	Why      string
	Features ring.Features // of the uring engine
}

// choose decides between the engines as far as the kernel's features go: the named one, or for EngineAuto uring
// where the kernel has it and epoll elsewhere. Naming uring where it does not work is an error.
// Whether all channels can have their rings is only known when they have them, see fallBack.
func (c *Config) choose() (Choice, error) {
	if c.Engine == EngineEpoll {
		return Choice{Engine: c.Engine, Why: "asked for"}, nil
	}
	fs, err := ring.Options{MemoryWait: c.memoryWait(), Operations: c.operations}.Probe()
	choice := Choice{EngineURing, "io_uring works", fs.Only(c.Allow)}
	if c.Engine == EngineURing {
		choice.Why = "asked for"
	}
	return c.fallBack(choice, err)
}

// fallBack decides what to do when err has kept a server from starting the engine of the choice: nil is no reason to
// take another. Only EngineAuto goes from uring to epoll.
func (c *Config) fallBack(choice Choice, err error) (Choice, error) {
	switch {
	case err == nil:
		return choice, nil
	case choice.Engine != EngineURing && c.Engine == EngineAuto:
		return Choice{}, fmt.Errorf("engine %s: %w (%s)", choice.Engine, err, choice.Why)
	case choice.Engine != EngineURing:
		return Choice{}, fmt.Errorf("engine %s: %w", choice.Engine, err)
	}
	err = c.explainMemory(err)
	if c.Engine == EngineURing {
		return Choice{}, fmt.Errorf("engine uring: %w", err)
	}
	return Choice{Engine: EngineEpoll, Why: fmt.Sprintf("no io_uring: %v", err)}, nil
}

// explainMemory says what an error means that may come from the limit on locked memory, and what mends it.
func (c *Config) explainMemory(err error) error {
	limit := lockLimit()
	if !errors.Is(err, ring.ErrMemory) || limit == unix.RLIM_INFINITY {
		return err
	}
	need := c.lockedMemory()
	if uint64(need) > limit {
		return fmt.Errorf("cannot lock memory: %s %d KiB, the limit is %d KiB: raise ulimit -l or LimitMEMLOCK=", c.threadsNeed(), need>>10, limit>>10)
	}
	return fmt.Errorf("cannot lock memory: %s %d KiB, and other processes of the user leave less of its limit of %d KiB: raise ulimit -l or LimitMEMLOCK=", c.threadsNeed(), need>>10, limit>>10)
}

func (c *Config) threadsNeed() string {
	if c.threads() == 1 {
		return "1 thread needs"
	}
	return fmt.Sprintf("%d threads need", c.threads())
}

// lockedMemory is how many bytes of locked memory the rings of all channels count as, where the kernel counts them.
func (c *Config) lockedMemory() int {
	each := c.ringOptions().LockedMemory() + ring.BufRingLockedMemory(c.Buffers)
	if c.servesDatagrams() {
		each += ring.BufRingLockedMemory(datagramBuffers)
	}
	return c.threads() * each
}

func (c *Config) servesDatagrams() bool {
	return len(c.Datagram) > 0 || c.Inherited != nil && len(c.Inherited.datagrams) > 0
}

// autoMemoryWait is how long EngineAuto waits for memory that there may soon be.
const autoMemoryWait = time.Second

// memoryWait is how long making a ring waits for memory that closed rings may still hold, those of the probe, or of
// a server that ended just now. Who asked for uring has no other way. EngineAuto waits less, and not at all where
// the limit on locked memory leaves no room for all rings in any case.
func (c *Config) memoryWait() time.Duration {
	switch {
	case c.Engine == EngineURing:
		return ring.DefaultMemoryWait
	case uint64(c.lockedMemory()) > lockLimit():
		return -1
	}
	return autoMemoryWait
}

// lockLimit is how many bytes of memory the process may lock.
func lockLimit() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) != nil {
		return unix.RLIM_INFINITY
	}
	return limit.Cur
}
