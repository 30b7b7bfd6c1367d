package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/cmd/ringcached/config"
	"ringcached/batch"
	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/store"
)

// serve runs the server until it is stopped, or with -d starts a process that does.
func serve(o *config.Config, stderr io.Writer) error {
	program := startedProgram() // before the directory changes
	s := &service{options: o}
	var err error
	if s.inherited, err = takeInheritance(config.ProtocolLabel); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	daemon := o.Process.Daemon && takeDaemonMark()
	if o.Process.Daemon && !daemon && s.inherited.predecessor == nil {
		if s.inherited.sockets != nil {
			return errActivatedDaemon
		}
		o.Line.File.Remember()
		return launch(stderr, o.Process.Verbosity > 0)
	}
	o.Line.File.Remember()
	ignoreSignals()
	verbosity := new(atomic.Int32)
	verbosity.Store(int32(o.Process.Verbosity))
	lines := newLogger(stderr, verbosity)
	defer lines.flush(logTime)
	log := lines.log
	o.Line.Log(log)
	o.Extended.Explain(log)
	o.Network.Explain(log)
	s.warnOfMemory(memoryLimits("/"), log)
	h := &handover{program: program, timeout: o.Process.HandoverTimeout, signals: handoverSignals(), own: s.inherited.own || s.inherited.sockets == nil,
		notifier: &notifier{log: log, main: s.inherited.predecessor == nil}, protocolOf: config.LabelName, refused: whyNoHandover(daemon), log: log}
	defer h.notifier.wait()
	if err := s.run(h, lines); err != nil {
		return err
	}
	return h.finish()
}

// run puts the server together and runs it. What needs the rights of root, limits and
// listening, is done before the user changes; the rings, which keep the credentials
// that they were made with, are made after.
func (s *service) run(h *handover, lines *logger) error {
	o := s.options
	log := lines.log
	err := raiseLimits(o, log)
	if err != nil {
		return err
	}
	memory := o.Memory.Store()
	memory.NoCAS = o.Protocol.NoCAS
	memory.TrackSizes = o.Extended.TrackSizes
	if o.Process.LockMemory {
		memory.LimitMax = 0 // what is locked counts as it is mapped, used or not
	}
	h.signalled = newStopper(memory.Limit, h.notifier, lines) // from here on a signal leaves time to keep the items
	h.told = h.signalled.told
	var ctx context.Context
	ctx, h.stop = context.WithCancel(h.told)
	if memory.Opened, err = s.inherited.memoryFiles(ctx, o.Memory.File); err != nil {
		return err
	}
	if o.Memory.File != "" {
		h.signalled.enter(stageServe, nil)
	}
	begin := time.Now()
	items, err := newStore(memory, log)
	if err != nil {
		return err
	}
	defer items.Close()
	clock := newClock(items, time.Now())
	reportRestored(o.Memory.File, items, time.Since(begin), log)
	warnOfPlace(o.Memory.File, log)
	items.OnLimitCut(func(limit, missing int64, why error) {
		log(0, "cache_memlimit: the limit is %d megabytes, %d less than it was told: %v", limit>>20, missing>>20, why)
	})
	if o.Memory.HugePages {
		warnOfSmallPages(o.Memory.File, log)
	}
	h.items = items
	err = s.serveItems(ctx, h, items, clock, lines)
	// Not deferred: after a panic nothing is known of the items.
	if o.Memory.File != "" {
		h.signalled.enter(stageSave, nil)
		keepItems(o.Memory.File, items, clock, h.next != nil && h.told.Err() == nil, log)
	}
	h.signalled.enter(stageEmpty, nil)
	return err
}

// serveItems serves from the store until the server is stopped. When it has returned nobody uses the store any more.
func (s *service) serveItems(ctx context.Context, h *handover, items *store.Store, clock *clock, lines *logger) (err error) {
	o := s.options
	log := lines.log
	items.SetAutomove(o.Extended.SlabAutomove)
	if o.Process.LockMemory {
		lockMemory(log)
	}
	protocol := proto.NewServer(items, proto.Config{
		Settings:         s.settings(),
		Version:          memcachedVersion,
		Protocol:         config.Bindings[o.Protocol.Binding],
		Auth:             s.authenticator(),
		RequestsPerEvent: o.Protocol.RequestsPerEvent,
		Amplification:    o.Network.Amplification,
		Start:            clock.start,
		Started:          items.Now(),
		Shutdown:         s.shutdownHook(h.stop, log),
		Verbosity:        lines.verbosity,
		Memory:           batch.MapForClients,
		Log:              func(format string, args ...any) { log(2, format, args...) },
	})
	if s.users != nil {
		rereadAtHangup(s.users.path, s.users.reload, log)
	}

	var server *batch.Server
	var work sync.WaitGroup // what goes on beside Serve
	defer s.removePID(log)
	defer func() { h.stop(); work.Wait() }()
	sockets := s.batch()
	sockets.Log, sockets.Unwanted = log, ctx.Done()
	sockets.Ready = func() { work.Go(func() { s.ready(ctx, h, &work, lines) }) }
	server, err = s.open(sockets, log, func(channel int) contract.Handler {
		return newHandler(protocol.NewWorker(), channel, clock)
	})
	if errors.Is(err, batch.ErrUnwanted) {
		return nil
	}
	if err != nil {
		return err
	}
	defer server.Close()
	h.server = server
	if o.Memory.File != "" {
		h.signalled.enter(stageServe, server.Hurry)
	}
	protocol.SetEngine(engineStats{server, o.Extended.IdleTimeout > 0, lines})
	if err := s.tellOfStart(server, log); err != nil {
		return err
	}
	if err := server.Choose(); err != nil {
		server.Close()
		return err
	}
	defer maintain(ctx, protocol)()
	return server.Serve(ctx)
}

// maintain lets the protocol's work in the background go on until ctx ends, or the function that it returns, which waits for its end, is called.
func maintain(ctx context.Context, protocol *proto.Server) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { protocol.Maintain(ctx) })
	return func() {
		cancel()
		work.Wait()
	}
}

// ready is called when the server serves, or, with a predecessor, when it would.
func (s *service) ready(ctx context.Context, h *handover, work *sync.WaitGroup, lines *logger) {
	o := s.options
	log := lines.log
	handed := s.inherited.predecessor != nil
	if handed {
		if err := s.inherited.predecessor.ask(ctx, wordReady); err != nil {
			return // stopped before
		}
		h.server.Accept()
		warnOf(writePID(o.Process.PIDFile), log)
		s.inherited.predecessor.close()
	}
	announce(s, h.server, log)
	work.Go(func() {
		slim()
		keepSlim(ctx, func() uint64 { return h.server.Stats().Conns })
	})
	h.notifier.tellReady()
	if o.Process.Daemon {
		lines.flush(startTime) // to whoever has started the daemon
		if err := leave(handed, o.Process.Verbosity > 0, o.Process.CoreDumps); err != nil {
			log(0, "-d: %v", err)
			h.stop()
		}
	}
	work.Go(func() { h.follow(ctx) })
}

// open makes the server listen. A unix socket is to belong to the user: then the user
// changes first, as always in memcached.
func (s *service) open(sockets batch.Config, log logFunc, handlers func(channel int) contract.Handler) (*batch.Server, error) {
	if sockets.Unix != "" {
		if err := s.becomeUser(log); err != nil {
			return nil, err
		}
	}
	return batch.New(sockets, handlers)
}

// tellOfStart writes the files with the process id and the ports, and changes the user. What root may not write, as where it lacks
// CAP_DAC_OVERRIDE and the folder is the user's, is written after that.
func (s *service) tellOfStart(server *batch.Server, log logFunc) error {
	var writes []func() error
	if s.inherited.predecessor == nil { // else its files are there, and ready writes the process id
		writes = append(writes, func() error { return writePID(s.options.Process.PIDFile) }, func() error { return writePortFile(server.Addrs(), server.DatagramAddrs()) })
	}
	var errs []error
	refused := slices.DeleteFunc(writes, func(write func() error) bool {
		err := write()
		if err != nil {
			errs = append(errs, err)
		}
		return err == nil
	})
	if err := s.becomeUser(log); err != nil {
		return err
	}
	for i, write := range refused {
		if write() != nil {
			warnOf(errs[i], log)
		}
	}
	return nil
}

// warnOf logs that a file can't be written. As in memcached that is no reason not to serve.
func warnOf(err error, log logFunc) {
	if err != nil {
		log(0, "warning: %v", err)
	}
}

// removePID removes the file with the process id, unless it has become another server's.
func (s *service) removePID(log logFunc) {
	if s.options.Process.PIDFile == "" {
		return
	}
	if err := removePIDFile(s.options.Process.PIDFile); err != nil {
		log(1, "%v", err)
	}
}

// shutdownHook is what the command shutdown does: nil unless it is allowed. The server
// always finishes what is in flight, so both kinds are the same.
func (s *service) shutdownHook(stop func(), log logFunc) func(graceful bool) {
	if !s.options.Protocol.Shutdown {
		return nil
	}
	return func(bool) {
		log(1, "shut down by a client")
		stop()
	}
}

// raiseLimits asks the system for descriptors, for lockable memory and for core files.
func raiseLimits(o *config.Config, log logFunc) error {
	warning, err := raiseFileLimit(o.Network.MaxConns, o.Engine.Batch.Threads)
	if err != nil {
		return err
	}
	if warning != "" {
		log(0, "%s", warning)
	}
	raiseLockLimit()
	if o.Process.CoreDumps {
		return raiseCoreLimit()
	}
	return nil
}
