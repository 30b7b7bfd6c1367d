package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ringcached/batch"
	"ringcached/store"
)

// Handover is what SIGUSR2 asks for: the program is started anew, with the listening sockets, and this server stops when the new one is ready.
// With a file of -e, which one server has at a time, it stops when the new one is waiting for the file, and connections wait until that serves.
type Handover struct {
	Program    Program       // what to start, from StartedProgram
	Timeout    time.Duration // for the new server to be ready
	Signals    <-chan os.Signal
	OwnSockets bool // a server has made the sockets
	Notifier   *Notifier
	ProtocolOf func(label uint8) string // the name in -l
	Refused    error                    // why this process can't hand over; nil: it can
	Log        LogFunc

	// Whoever puts the server together sets these before Follow.
	Stopper *Stopper
	Stop    func() // as a signal to stop does
	Server  *batch.Server
	Items   *store.Store
	Metrics PassedListener // of --metrics; nil: none

	OwnMetrics bool // a server has made that listener

	next *successor // waits for the files; set before Stop is called
	pass passed     // what it was given
}

// PassedListener is a listener that is not the cache's, and goes to the new server.
type PassedListener interface {
	// Descriptor duplicates the listener's descriptor. The copy is the caller's.
	Descriptor() (fd int, err error)
	// Release leaves the listener to the new server. It waits for nothing.
	Release()
}

// WaitsForItems reports whether a new server waits for the items that this one saves. It may be called when the server has stopped.
func (h *Handover) WaitsForItems() bool { return h.next != nil && h.Stopper.Stopping.Err() == nil }

// WhyNoHandover is the reason why this process can't hand over; nil: it can. The process that has started it may take its end for the end of the
// service, and end the new server.
func WhyNoHandover(daemon bool) error {
	switch {
	case os.Getpid() == 1:
		return errors.New("this is the first process of a container, which ends with it: start a new container")
	case startedBySystemd(daemon) && os.Getenv(notifySocket) == "":
		return errors.New("systemd would stop the new server, which it does not know of: the unit needs Type=notify, without -d")
	}
	return nil
}

// HandoverSignals keeps SIGUSR2, which would end the process, for when it serves.
func HandoverSignals() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	return signals
}

// Follow does what the signals ask for, until ctx ends. When the server is told to stop, a hand-over that is not done is given up.
func (h *Handover) Follow(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.Stopper.Draining, cancel)()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.Signals:
		}
		tried := make(chan error, 1)
		go func() { tried <- h.try(ctx) }()
		if err := h.await(tried); err == nil {
			return
		} else if ctx.Err() == nil {
			h.Log(0, "hand-over failed, serving on: %v", err)
			h.Notifier.SendStatus(fmt.Sprintf("hand-over failed: %v", err))
		}
	}
}

// await waits for the end of a try, and ignores signals meanwhile.
func (h *Handover) await(tried <-chan error) error {
	for {
		select {
		case err := <-tried:
			return err
		case <-h.Signals:
			h.Log(0, "SIGUSR2 again: a new server is being started already")
		}
	}
}

// try starts a new server, and stops this one when the new one is ready. If it never is, nothing has changed.
func (h *Handover) try(ctx context.Context) error {
	if h.Refused != nil {
		return h.Refused
	}
	if h.Stopper.Draining.Err() != nil {
		return errors.New("this server has been told to stop")
	}
	h.Log(1, "handing over: starting %s", h.Program.path)
	if err := h.gather(); err != nil {
		return err
	}
	s, err := startSuccessor(ctx, h.Program.path, h.Program.dir, h.pass, h.Timeout)
	if err != nil {
		h.drop()
		return err
	}
	word, err := s.listen(ctx, h.Timeout)
	if err == nil && word == wordFiles {
		h.next = s
	}
	if err != nil {
		s.end()
		h.drop()
		return err
	}
	h.Server.Release()
	if h.next == nil {
		h.giveTo(s)
	}
	h.Stop()
	return nil
}

// gather makes descriptors of all that the new server gets.
func (h *Handover) gather() error {
	sockets, err := h.Server.Listening()
	if err != nil {
		return err
	}
	own := h.OwnSockets && (h.Server.UnixPath() == "" || h.Server.HasUnixPath()) // else its file is not for the new server to remove
	h.pass = passed{}
	for _, s := range sockets {
		h.pass.add(socketName(own, h.ProtocolOf(s.Label)), s.FD)
	}
	if h.Metrics != nil {
		fd, err := h.Metrics.Descriptor()
		if err != nil {
			h.drop()
			return fmt.Errorf("the listener of --metrics: %w", err)
		}
		name := nameMetrics
		if h.OwnMetrics {
			name += nameOwn
		}
		h.pass.add(name, fd)
	}
	items, meta, err := h.Items.Files()
	if err != nil {
		h.drop()
		return err
	}
	if items >= 0 {
		h.pass.add(nameItems, items)
		h.pass.add(nameItemsMeta, meta)
	}
	return nil
}

// drop closes what gather made.
func (h *Handover) drop() {
	for _, fd := range h.pass.fds {
		_ = syscall.Close(fd)
	}
	h.pass = passed{}
}

// giveTo lets a new server that is ready serve.
func (h *Handover) giveTo(s *successor) {
	s.orphan() // a supervisor wants to see how its main process ends
	h.Notifier.sendSuccessor(s.pid)
	if h.Metrics != nil {
		h.Metrics.Release()
	}
	s.letServe(h.Timeout)
	h.drop()
	h.Log(0, "handed over to process %d", s.pid)
}

// Finish is called when the items are saved and the store is closed. It lets a new server that waits for the files have them. If that comes
// to nothing, this program is started once more, which serves what has been saved.
func (h *Handover) Finish() error {
	if h.next == nil {
		return nil
	}
	h.Stopper.Enter(StageHandingOver, nil)
	err := h.giveFiles(h.next)
	if err != nil && h.Stopper.Stopping.Err() == nil {
		h.Log(0, "hand-over failed, going back to the old program: %v", err)
		err = h.goBack()
	}
	if h.Stopper.Stopping.Err() != nil {
		return nil // stopped: what is saved is for the next start
	}
	return err
}

// goBack starts this program once more.
func (h *Handover) goBack() error {
	s, err := startSuccessor(h.Stopper.Stopping, ownProgram, h.Program.dir, h.pass, h.Timeout)
	if err != nil {
		return err
	}
	word, err := s.listen(h.Stopper.Stopping, h.Timeout)
	if err == nil && word != wordFiles {
		err = fmt.Errorf("it does not want the files of -e (%q)", word)
	}
	if err != nil {
		s.end()
		return fmt.Errorf("the old program does not start: %w", err)
	}
	return h.giveFiles(s)
}

// giveFiles gives the files to a new server that has asked for them, and lets it serve when it is ready. If a signal stops this server
// before, then so is the new one.
func (h *Handover) giveFiles(s *successor) error {
	if err := h.Stopper.Stopping.Err(); err != nil {
		s.end()
		return err
	}
	err := s.say(wordYes)
	if err == nil {
		_, err = s.listen(h.Stopper.Stopping, h.Timeout)
	}
	if err != nil {
		h.takeBack(s)
		return err
	}
	h.giveTo(s)
	return nil
}

// takeBack ends a new server that may have the items, and has to save them again then. After a stop that takes as long as it takes; where
// this server wants to go on with them, it gives up on a new one that does not end.
func (h *Handover) takeBack(s *successor) {
	ctx, cancel := context.Background(), func() {}
	if h.Stopper.Stopping.Err() == nil {
		ctx, cancel = context.WithTimeout(h.Stopper.Stopping, h.Timeout)
	}
	defer cancel()
	s.askToStop()
	if s.finish(ctx); h.Stopper.Stopping.Err() != nil {
		s.finish(context.Background())
	}
	s.end()
}
