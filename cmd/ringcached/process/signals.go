package process

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// IgnoreSignals keeps a closed stderr, and a SIGHUP that comes before RereadAtHangup, from ending the server.
func IgnoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP) }

// Stage is what the server does with the items while it stops. The text says what goes on after a second signal.
type Stage string

const (
	StageNoItems     Stage = "" // no items are to be kept
	StageServing     Stage = "saving the items, and waiting no longer for clients"
	StageSaving      Stage = "items are being saved: finishing"
	StageHandingOver Stage = "waiting for the new server, which has the items"
)

// Stopper handles the signals that stop a server. After the first, the server finishes what is in flight. A second ends the process at once,
// unless there are items to save: then the server stops waiting for clients, saves the items, and only a third signal ends the process. SIGUSR1
// stops the server too, but does not count: by it a server that hands over stops the new one, which may have had the first signal already.
//
// With a delay (StopLater) the first signal only makes the server say that it is not ready, and it goes on serving until the delay is over, or a second
// signal comes, which then is as the first one.
type Stopper struct {
	log      LogFunc
	flush    func(limit time.Duration) // of the log
	notifier *Notifier
	limit    time.Duration // after a second signal, for the items to be saved

	Draining context.Context // ends with the first signal
	Stopping context.Context // ends then too, or after the delay

	prompt context.Context // ends when there is no delay any more
	hasten context.CancelFunc

	mu        sync.Mutex
	delay     time.Duration
	stage     Stage
	impatient bool   // a second signal came
	hurry     func() // ends the waiting for clients; nil: there are none
}

// saveTime is how long a save may take after a second signal: a minute, and a second for each 16 MiB of memory, which a disk should manage.
func saveTime(memory int64) time.Duration {
	return time.Minute + time.Duration(memory>>24)*time.Second
}

// NewStopper begins to handle signals. memory, in bytes, is what there may be to save.
func NewStopper(memory int64, notifier *Notifier, lines *Logger) *Stopper {
	s := &Stopper{log: lines.Log, flush: lines.Flush, notifier: notifier, limit: saveTime(memory)}
	var drain, stop context.CancelFunc
	s.Draining, drain = context.WithCancel(context.Background())
	s.Stopping, stop = context.WithCancel(context.Background())
	s.prompt, s.hasten = context.WithCancel(context.Background())
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	go func() {
		first := s.drain(signals, drain)
		s.log(1, "%v: stopping", first)
		s.notifier.sendAside("STOPPING=1") // first: the process may end soon after stop
		stop()
		s.follow(first, signals)
	}()
	return s
}

// StopLater is called when the server serves: after a first signal from now on it goes on for the delay.
func (s *Stopper) StopLater(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = delay
}

// StopPromptly ends the delay for good, also one that goes on: the server does not serve any longer, so that there is nothing to wait for.
func (s *Stopper) StopPromptly() { s.hasten() }

// drain waits for a first signal, and then for the end of the delay, or for another signal. It returns the one that is to stop the server.
func (s *Stopper) drain(signals <-chan os.Signal, begin func()) os.Signal {
	sig := <-signals
	begin()
	s.mu.Lock()
	delay := s.delay
	s.mu.Unlock()
	if delay == 0 || sig == syscall.SIGUSR1 || s.prompt.Err() != nil {
		return sig
	}
	s.log(1, "%v: not ready any more, and stopping in %v", sig, delay)
	select {
	case <-time.After(delay):
	case <-s.prompt.Done():
	case sig = <-signals:
	}
	return sig
}

// follow handles the signals after the one that stopped the server.
func (s *Stopper) follow(first os.Signal, signals <-chan os.Signal) {
	count := 0 // without SIGUSR1
	if first != syscall.SIGUSR1 {
		count++
	}
	for sig := range signals {
		if sig != syscall.SIGUSR1 {
			count++
		}
		switch {
		case sig == syscall.SIGUSR1 || count < 2:
			s.log(1, "%v: stopping already", sig)
		case count > 2 || !s.again(sig):
			s.log(0, "%v again: exiting at once", sig)
			s.exit()
		}
	}
}

// again is what a second signal does. It reports whether there are items to be kept.
func (s *Stopper) again(sig os.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == StageNoItems {
		return false
	}
	s.log(0, "%v again: %s; a third signal ends at once", sig, s.stage)
	s.impatient = true
	if s.hurry != nil {
		s.hurry()
	}
	time.AfterFunc(s.limit, func() {
		if why := s.givenUp(); why != "" {
			s.log(0, "%s in %v: exiting", why, s.limit)
			s.exit()
		}
	})
	return true
}

// givenUp is what has not come to its end when the time for it is over; "" if the process is about to end anyway.
func (s *Stopper) givenUp() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.stage {
	case StageNoItems:
		return ""
	case StageHandingOver:
		return "the new server, which has the items, has not ended"
	}
	return "the items are lost: they were not saved"
}

// exit ends the process, once what it has said is written, or nobody reads it.
func (s *Stopper) exit() {
	s.flush(FlushTime)
	os.Exit(1)
}

// Enter begins a stage.
func (s *Stopper) Enter(to Stage, hurry func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stage, s.hurry = to, hurry
	if s.impatient && hurry != nil {
		hurry()
	}
}

// Files are what the server reads again at every SIGHUP.
type Files struct {
	What   string                          // they hold, in the plural: the users
	Reread func() (said string, err error) // said is what a line of the log says was read
}

// RereadAtHangup reads all files again at every SIGHUP. If some cannot be read, or are wrong, what they held before stays.
func RereadAtHangup(all []Files, log LogFunc) {
	if len(all) == 0 {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			for _, files := range all {
				said, err := files.Reread()
				if err != nil {
					log(0, "hangup: %s stay as they are: %v", files.What, err)
					continue
				}
				log(1, "hangup: read %s", said)
			}
		}
	}()
}
