package batch

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// starting is where channels meet when each has started its engine, or failed to, so that none serves before all can, and all
// serve with the same engine: a ring belongs to the thread that made it, so each channel makes its own.
type starting struct {
	mu    sync.Mutex
	round *startRound
}

// startRound is one try of all channels.
type startRound struct {
	come int   // channels
	err  error // of one that failed; one for which no other engine helps comes before others
	ends bool  // that is such an error
	over chan struct{}
	next Choice // what all do next, once over is closed
	fail error
}

// meet waits for all channels of the server. err is why this one could not start the engine of the choice. It returns what
// to do: serve, if that is the same choice, or try another engine. With ends no other engine would help.
func (s *Server) meet(tried Choice, err error, ends bool) (Choice, error) {
	st := &s.starting
	st.mu.Lock()
	if st.round == nil {
		st.round = &startRound{over: make(chan struct{})}
	}
	r := st.round
	if r.err == nil || ends && !r.ends {
		r.err, r.ends = err, ends
	}
	if r.come++; r.come == len(s.channels) {
		st.round = nil
		if r.fail = r.err; !r.ends {
			r.next, r.fail = s.config.fallBack(tried, r.err)
		}
		if r.fail == nil && r.next.Engine != tried.Engine {
			s.choice = r.next // nobody looks at it before the meeting is over
		}
		close(r.over)
	}
	st.mu.Unlock()
	<-r.over
	return r.next, r.fail
}

// startEngine starts the engine that all channels take, on the channel's thread. before is done first; if that fails
// no channel can start.
func (ch *channel) startEngine(before func() error) error {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	choice := ch.server.choice
	err := before()
	ends := err != nil
	for {
		e := newEngine(ch, choice)
		if err == nil {
			err = e.start()
		}
		next, fail := ch.server.meet(choice, err, ends)
		if fail == nil && next.Engine == choice.Engine {
			ch.engine = e
			return nil
		}
		e.free()
		if fail != nil {
			return fail
		}
		choice, err = next, nil
	}
}

// Try tells which engine a server with this configuration takes, as Serve decides it: all channels make what they serve with, each on a
// thread that has called become before, if that is not nil, and free it. Nothing is listened on.
func Try(config Config, become func() error) (Choice, error) {
	if err := config.Validate(); err != nil {
		return Choice{}, err
	}
	if become == nil {
		become = func() error { return nil }
	}
	s := &Server{config: config, memory: newClientMemory(config.ClientMemory, config.mapMemory), unixFD: -1, trial: true}
	if err := onThread(func() error {
		if err := become(); err != nil {
			return err
		}
		return s.Choose()
	}); err != nil {
		return s.choice, err
	}
	defer s.Close()
	for id := range config.threads() {
		ch, err := newChannel(s, id, nil)
		if err != nil {
			return Choice{}, err
		}
		s.channels = append(s.channels, ch)
	}
	errs := make(chan error, len(s.channels))
	for _, ch := range s.channels {
		go func() {
			err := ch.startEngine(become)
			if err == nil {
				ch.engine.free()
			}
			errs <- err
		}()
	}
	var err error
	for range s.channels {
		err = <-errs // the same of all
	}
	return s.choice, err
}

// onThread calls f on a thread that ends with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// placeholders stand for the sockets of a channel of a trial: descriptors that nothing happens on.
func (s *Server) placeholders() (listeners, dgrams []listener, err error) {
	some := func(n int) (made []listener, err error) {
		for range n {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			if err != nil {
				return made, fmt.Errorf("eventfd: %w", err)
			}
			made = append(made, listener{fd: fd})
		}
		return made, nil
	}
	streams := len(s.config.Listen)
	if s.config.Unix != "" {
		streams++
	}
	if listeners, err = some(streams); err == nil {
		dgrams, err = some(len(s.config.Datagram))
	}
	if err != nil {
		closeListeners(listeners)
		closeListeners(dgrams)
	}
	return listeners, dgrams, err
}
