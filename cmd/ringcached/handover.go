package main

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

// handover is what SIGUSR2 asks for: the program is started anew, with the listening sockets, and this server stops when the new one is ready.
// With a file of -e, which one server has at a time, it stops when the new one is waiting for the file, and connections wait until that serves.
type handover struct {
	program    program
	timeout    time.Duration // for the new server to be ready
	signals    <-chan os.Signal
	own        bool            // a server has made the sockets
	told       context.Context // ends when a signal says to stop
	signalled  *stopper
	stop       func() // so does the server by itself
	server     *batch.Server
	items      *store.Store
	notifier   *notifier
	protocolOf func(label uint8) string // the name in -l
	refused    error                    // why this process can't hand over; nil: it can
	log        logFunc

	next *successor // waits for the files; set before stop is called
	pass passed     // what it was given
}

// whyNoHandover is why a process can't be replaced by another: whoever has started it would take its end for the server's, and end the new
// one. It is nil if the process may be.
func whyNoHandover(daemon bool) error {
	switch {
	case os.Getpid() == 1:
		return errors.New("this is the first process of a container, which ends with it: start a new container")
	case startedBySystemd(daemon) && os.Getenv(notifySocket) == "":
		return errors.New("systemd would stop the new server, of which it is not told: the unit needs Type=notify, without -d")
	}
	return nil
}

// handoverSignals keeps SIGUSR2, which would end the process, for when it serves.
func handoverSignals() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	return signals
}

// follow does what the signals ask for, until ctx ends.
func (h *handover) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.signals:
		}
		tried := make(chan error, 1)
		go func() { tried <- h.try(ctx) }()
		if err := h.await(tried); err == nil {
			return
		} else if ctx.Err() == nil {
			h.log(0, "hand-over failed, serving on: %v", err)
			h.notifier.show(fmt.Sprintf("hand-over failed: %v", err))
		}
	}
}

// await waits for the end of a try, and ignores signals meanwhile.
func (h *handover) await(tried <-chan error) error {
	for {
		select {
		case err := <-tried:
			return err
		case <-h.signals:
			h.log(0, "SIGUSR2 again: a new server is being started already")
		}
	}
}

// try starts a new server, and stops this one when the new one is ready. If it never is, nothing has changed.
func (h *handover) try(ctx context.Context) error {
	if h.refused != nil {
		return h.refused
	}
	h.log(1, "handing over: starting %s", h.program.path)
	if err := h.gather(); err != nil {
		return err
	}
	s, err := startSuccessor(ctx, h.program.path, h.program.dir, h.pass, h.timeout)
	if err != nil {
		h.drop()
		return err
	}
	word, err := s.listen(ctx, h.timeout)
	if err == nil && word == wordFiles {
		h.next = s
	}
	if err != nil {
		s.end()
		h.drop()
		return err
	}
	h.server.Release()
	if h.next == nil {
		h.giveTo(s)
	}
	h.stop()
	return nil
}

// gather makes descriptors of all that the new server gets.
func (h *handover) gather() error {
	sockets, err := h.server.Listening()
	if err != nil {
		return err
	}
	own := h.own && (h.server.UnixPath() == "" || h.server.HasUnixPath()) // else its file is not for the new server to remove
	h.pass = passed{}
	for _, s := range sockets {
		h.pass.add(socketName(own, h.protocolOf(s.Label)), s.FD)
	}
	items, meta, err := h.items.Files()
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
func (h *handover) drop() {
	for _, fd := range h.pass.fds {
		_ = syscall.Close(fd)
	}
	h.pass = passed{}
}

// giveTo lets a new server that is ready serve.
func (h *handover) giveTo(s *successor) {
	s.letGo() // a supervisor wants to see how its main process ends
	h.notifier.tellSuccessor(s.pid)
	s.letServe(h.timeout)
	h.drop()
	h.log(0, "handed over to process %d", s.pid)
}

// finish is called when the items are saved and the store is closed. It lets a new server that waits for the files have them. If that comes
// to nothing, this program is started once more, which serves what has been saved.
func (h *handover) finish() error {
	if h.next == nil {
		return nil
	}
	h.signalled.enter(stageGiving, nil)
	err := h.giveFiles(h.next)
	if err != nil && h.told.Err() == nil {
		h.log(0, "hand-over failed, going back to the old program: %v", err)
		err = h.goBack()
	}
	if h.told.Err() != nil {
		return nil // stopped: what is saved is for the next start
	}
	return err
}

// goBack starts this program once more.
func (h *handover) goBack() error {
	s, err := startSuccessor(h.told, ownProgram, h.program.dir, h.pass, h.timeout)
	if err != nil {
		return err
	}
	word, err := s.listen(h.told, h.timeout)
	if err == nil && word != wordFiles {
		err = fmt.Errorf("it does not want the files of -e (%q)", word)
	}
	if err != nil {
		s.end()
		return fmt.Errorf("the old program does not start: %w", err)
	}
	return h.giveFiles(s)
}

// giveFiles gives the files to a new server that has asked for them, and lets it serve when it is ready. If this server is told to stop
// before, then so is the new one.
func (h *handover) giveFiles(s *successor) error {
	if err := h.told.Err(); err != nil {
		s.end()
		return err
	}
	err := s.say(wordYes)
	if err == nil {
		_, err = s.listen(h.told, h.timeout)
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
func (h *handover) takeBack(s *successor) {
	ctx, cancel := context.Background(), func() {}
	if h.told.Err() == nil {
		ctx, cancel = context.WithTimeout(h.told, h.timeout)
	}
	defer cancel()
	s.tellToStop()
	if s.finish(ctx); h.told.Err() != nil {
		s.finish(context.Background())
	}
	s.end()
}
