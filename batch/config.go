package batch

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/internal/handshake"
	"ringcached/ring"
)

// Config says what a Server listens on and how it does its I/O. DefaultConfig has
// every value that New needs but Listen.
type Config struct {
	Listen   []netip.AddrPort // TCP addresses; port 0 takes any free port, the same for every channel
	Labels   []uint8          // of these addresses: numbers for Handler.Open, and contract.LabelTLS and its like. An address without one, and the unix socket, have 0
	Datagram []netip.AddrPort // UDP addresses, likewise
	Unix     string           // path of a unix socket to listen on; "": none
	UnixMode os.FileMode      // its access mode

	Inherited *Inherited // sockets to serve instead of all these; nil: none
	UnixStays bool       // the path of the inherited unix socket is not removed at the end
	Hold      bool       // nothing is accepted before Server.Accept

	Unwanted <-chan struct{} // closed when New is not to wait for an address any more that is in use; nil: never

	Backlog  int    // listen(2)'s queue of connections not accepted yet
	Threads  int    // channels; 0: one for each usable core
	Affinity bool   // pin channel i to the i-th usable core
	Steer    bool   // what arrives on a core goes to the channel that is pinned to it (needs Affinity)
	OneQueue bool   // all channels accept from the same TCP sockets, instead of each from its own
	Stay     bool   // a connection stays in the channel that accepted it, however many that has
	Engine   string // EngineAuto, EngineURing or EngineEpoll
	MaxConns int    // connections over all channels; further ones get an error and are closed
	Pause    bool   // at MaxConns stop accepting instead: further connections wait until one ends

	Depth   int           // operations gathered before they are submitted; 1 submits each by itself
	Wait    int           // completions to wait for, or WaitAuto
	Timeout time.Duration // longest wait for more than one completion

	Buffers    int           // provided buffers of each channel
	BufferSize int           // bytes of each
	Direct     bool          // direct descriptors, where the kernel releases them safely
	SQPoll     time.Duration // a thread of the kernel's submits for each channel, and sleeps after so long without work; 0: none
	BusyPoll   time.Duration // a wait asks the network devices for so long itself; 0: not
	Allow      ring.Feature  // features of the kernel that may be used

	ZeroCopy int // replies of at least this many bytes are sent without copying them, where the kernel can (uring); 0: none

	// ClientMemory is how many bytes clients may make the server hold in all: replies that they do not take, requests that wait, and
	// room to write replies in. Above it those that hold the most are closed. 0: no limit. What replies refer to does not count.
	ClientMemory int64

	SendTimeout time.Duration // a peer that takes nothing of its replies for so long is closed; 0: never

	IdleTimeout time.Duration // a connection that sends no request, and nothing of a value, for so long is closed; 0: never

	DrainTimeout time.Duration // a stopping server works on what is in flight for so long at most

	ParkAfter time.Duration // a connection that sends nothing for so long takes less of the kernel's memory (uring); 0: never

	TLS                 *handshake.Server // for the addresses whose label asks for TLS; nil: none may
	TLSHandshakes       int               // in progress at once, at most; further ones wait
	TLSHandshakeTimeout time.Duration     // a connection that is not through with its handshake so long after it was accepted is closed
	KernelTLS           bool              // the kernel seals what connections are sent, where it can (ktls.Probe); otherwise the server does

	operations []uint8                         // of rings, see ring.Options; nil: all. For tests
	mapMemory  func(bytes int) ([]byte, error) // for what clients make the server hold; nil: MapForClients. For tests

	// Ready is called once, by some channel, when all of them serve. It may be nil.
	Ready func()
	// Log receives messages: level 0 always, 1 when verbose, 2 when very verbose.
	Log func(level int, format string, args ...any)
}

// Names of the engines.
const (
	EngineAuto  = "auto"
	EngineURing = "uring"
	EngineEpoll = "epoll"
)

// WaitAuto makes the number of completions to wait for follow the load: none are waited for while few come.
const WaitAuto = 0

// Limits of Config's values.
const (
	maxDepth   = 512 // entries of the submission queue
	maxThreads = 1024

	maxParkAfter = 24 * time.Hour
)

// DefaultConfig returns the values that a server has without flags.
func DefaultConfig() Config {
	return Config{
		Backlog:     1024,
		Engine:      EngineAuto,
		MaxConns:    1024,
		Depth:       64,
		Wait:        1,
		Timeout:     50 * time.Microsecond,
		Buffers:     1024,
		BufferSize:  2112,
		Allow:       ^ring.Feature(0),
		SendTimeout: time.Minute,
		ParkAfter:   30 * time.Second,

		DrainTimeout: 5 * time.Second,

		TLSHandshakes:       256,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

// Validate reports the first value that cannot be used.
func (c *Config) Validate() error {
	switch c.Engine {
	case EngineAuto, EngineURing, EngineEpoll:
	default:
		return fmt.Errorf("unknown engine %q (auto, uring or epoll)", c.Engine)
	}
	if len(c.Listen) == 0 && len(c.Datagram) == 0 && c.Unix == "" && c.Inherited == nil {
		return errors.New("no address to listen on")
	}
	for _, r := range []struct {
		name            string
		value, min, max int
	}{
		{"listen backlog", c.Backlog, 1, 1 << 30},
		{"threads", c.Threads, 0, maxThreads},
		{"number of labels", len(c.Labels), 0, len(c.Listen)},
		{"connection limit", c.MaxConns, 1, 1 << 24},
		{"batch depth", c.Depth, 1, maxDepth},
		{"batch wait", c.Wait, WaitAuto, maxDepth},
		{"ring buffers", c.Buffers, 1, ring.MaxBuffers},
		{"ring buffer size", c.BufferSize, 64, 1 << 20},
		{"size of replies that are not copied", c.ZeroCopy, 0, math.MaxInt32},
		{"TLS handshakes at once", c.TLSHandshakes, 1, 1 << 20},
	} {
		if r.value < r.min || r.value > r.max {
			return fmt.Errorf("%s must be from %d to %d", r.name, r.min, r.max)
		}
	}
	for i, value := range []int64{c.ClientMemory, int64(c.SendTimeout), int64(c.DrainTimeout)} {
		if value < 0 {
			return fmt.Errorf("%s must not be negative", [...]string{"client memory", "send timeout", "drain timeout"}[i])
		}
	}
	if err := c.validateTLS(); err != nil {
		return err
	}
	if c.Wait != 1 && c.Timeout <= 0 {
		return errors.New("a batch wait other than 1 needs a batch timeout above 0")
	}
	if c.Timeout < 0 || c.Timeout > time.Second {
		return errors.New("batch timeout must be from 0 to 1s")
	}
	if c.SQPoll < 0 || c.SQPoll > 0 && c.SQPoll < time.Millisecond || c.BusyPoll < 0 || c.BusyPoll > time.Second {
		return errors.New("submission polling must be 0 or at least 1ms, busy polling from 0 to 1s")
	}
	if c.Steer {
		if c.OneQueue {
			return errors.New("what arrives cannot be steered to the channel of its core where all accept from the same sockets")
		}
		if err := c.canSteer(); err != nil {
			return err
		}
	}
	if c.IdleTimeout < 0 || c.IdleTimeout > 0 && c.IdleTimeout < time.Second {
		return errors.New("idle timeout must be 0 or at least 1s")
	}
	if c.ParkAfter < 0 || c.ParkAfter > 0 && c.ParkAfter < time.Second || c.ParkAfter > maxParkAfter {
		return fmt.Errorf("park after must be 0, or from 1s to %v", maxParkAfter)
	}
	return nil
}

func (c *Config) validateTLS() error {
	labels := c.Labels
	if c.Inherited != nil {
		_, labels = c.Inherited.Addrs()
	}
	asked := slices.ContainsFunc(labels, func(label uint8) bool { return contract.TLSLabel(label) != 0 })
	switch {
	case asked && c.TLS == nil:
		return errors.New("a socket that is to speak TLS, and no certificate")
	case asked && c.Direct:
		return errors.New("direct descriptors cannot be used with TLS: a handshake needs an ordinary one")
	case c.TLSHandshakeTimeout < time.Millisecond:
		return errors.New("the time for a TLS handshake must be at least 1ms")
	}
	return nil
}

// handshakeStop is how long a stopping server goes on with handshakes of TLS, at most: what clients ask for behind them takes time, too.
func (c *Config) handshakeStop() time.Duration {
	return max(inputTime, min(c.DrainTimeout/2, 2*time.Second))
}

// sendSeconds is the SendTimeout in whole seconds, which is how connections' times are counted; 0: none.
func (c *Config) sendSeconds() uint32 { return uint32((c.SendTimeout + time.Second - 1) / time.Second) }

func (c *Config) threads() int {
	if c.Threads > 0 {
		return c.Threads
	}
	return runtime.NumCPU()
}

func (c *Config) log(level int, format string, args ...any) {
	if c.Log != nil {
		c.Log(level, format, args...)
	}
}

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
		enough := 2 * need >> 10 // in KiB
		return fmt.Errorf("cannot lock memory: %s %d KiB, the limit is %d KiB: raise it with LimitMEMLOCK=%dK in a unit, ulimit -l %d in a shell or --ulimit memlock=%d for a container, which is enough for a hand-over, too",
			c.threadsNeed(), need>>10, limit>>10, enough, enough, enough<<10)
	}
	return fmt.Errorf("cannot lock memory: %s %d KiB, and other processes of the user leave less of its limit of %d KiB: raise it with LimitMEMLOCK=infinity in a unit, ulimit -l unlimited in a shell or --ulimit memlock=-1 for a container",
		c.threadsNeed(), need>>10, limit>>10)
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
// a server that ended just now. With EngineURing there is no alternative, so it waits long. EngineAuto waits less, and not at all where
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
