package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"ringcached/batch"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/store"
)

// serveItems serves from the store until the server is stopped. When it has returned nobody uses the store any more.
func (s *service) serveItems(ctx context.Context, h *process.Handover, items *store.Store, clock *clock, lines *process.Logger) (err error) {
	c := s.config
	log := lines.Log
	items.SetAutomove(c.Extended.SlabAutomove)
	if c.Process.LockMemory {
		process.LockMemory(log)
	}
	protocol := proto.NewServer(items, proto.Config{
		Settings:            s.settings(),
		Version:             memcachedVersion,
		Protocol:            config.Bindings[c.Protocol.Binding],
		Auth:                s.authenticator(),
		RequestsPerEvent:    c.Protocol.RequestsPerEvent,
		Amplification:       c.Network.Amplification,
		Start:               clock.start,
		Started:             items.Now(),
		Shutdown:            s.shutdownHook(h.Stop, log),
		RefreshCertificates: s.refreshHook(log),
		Verbosity:           lines.Verbosity,
		Memory:              batch.MapForClients,
		Log:                 func(format string, args ...any) { log(2, format, args...) },
	})
	process.RereadAtHangup(s.rereadable(), log)

	var server *batch.Server
	var work sync.WaitGroup // what goes on beside Serve
	defer s.removePID(log)
	defer func() { h.Stop(); work.Wait() }()
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
	h.Server = server
	if c.Memory.File != "" {
		h.Stopper.Enter(process.StageServing, server.Hurry)
	}
	protocol.SetEngine(engineStats{server, c.Extended.IdleTimeout > 0, lines, s.tls, c.Extended.TLS.SessionCache})
	s.monitor.attach(&shown{protocol: protocol, server: server, hotKeys: c.Monitoring.HotKeys, ctx: ctx, draining: h.Stopper.Draining})
	defer s.monitor.detach() // before what it shows is gone
	if err := s.writeStartFiles(server, log); err != nil {
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
func (s *service) ready(ctx context.Context, h *process.Handover, work *sync.WaitGroup, lines *process.Logger) {
	c := s.config
	log := lines.Log
	handed := s.inherited.HasPredecessor()
	if handed {
		if err := s.inherited.AskToServe(ctx); err != nil {
			return // stopped before
		}
		h.Server.Accept()
	}
	h.Stopper.StopLater(c.Monitoring.DrainDelay)
	s.monitor.serves()
	if handed {
		s.monitor.answer(h) // ready from the beginning: nobody is to think that the address has failed
		s.removeLeftBehind(log)
		warnOf(process.WritePIDFile(c.Process.PIDFile), log)
		s.inherited.ReportServing()
	}
	announce(s, h.Server, log)
	h.Notifier.SendReady()
	if c.Process.Daemon {
		lines.Flush(process.StartFlushTime) // to the process that has started the daemon
		if err := process.DetachDaemon(handed, c.Process.Verbosity > 0, c.Process.CoreDumps); err != nil {
			log(0, "-d: %v", err)
			h.Stop()
		}
	}
	work.Go(func() { h.Follow(ctx) })
	work.Go(func() { process.ReturnHeap(ctx, func() uint64 { return h.Server.Stats().Conns }) })
}

// open makes the server listen. A unix socket is to belong to the user: then the user
// changes first, as always in memcached.
func (s *service) open(sockets batch.Config, log process.LogFunc, handlers func(channel int) contract.Handler) (*batch.Server, error) {
	if sockets.Unix != "" {
		if err := s.becomeUser(log); err != nil {
			return nil, err
		}
	}
	return batch.New(sockets, handlers)
}

// writeStartFiles writes the files with the process id and the ports, and changes the user. What root may not write, as where it lacks
// CAP_DAC_OVERRIDE and the folder is the user's, is written after that.
func (s *service) writeStartFiles(server *batch.Server, log process.LogFunc) error {
	var writes []func() error
	if !s.inherited.HasPredecessor() { // else its files are there, and ready writes the process id
		writes = append(writes, func() error { return process.WritePIDFile(s.config.Process.PIDFile) }, func() error { return process.WritePortFile(server.Addrs(), server.DatagramAddrs()) })
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
func warnOf(err error, log process.LogFunc) {
	if err != nil {
		log(0, "warning: %v", err)
	}
}

// removePID removes the file with the process id, unless it has become another server's.
func (s *service) removePID(log process.LogFunc) {
	if s.config.Process.PIDFile == "" {
		return
	}
	if err := process.RemovePIDFile(s.config.Process.PIDFile); err != nil {
		log(1, "%v", err)
	}
}

// shutdownHook is what the command shutdown does: nil unless it is allowed. The server
// always finishes what is in flight, so both kinds are the same.
func (s *service) shutdownHook(stop func(), log process.LogFunc) func(graceful bool) {
	if !s.config.Protocol.Shutdown {
		return nil
	}
	return func(bool) {
		log(1, "shut down by a client")
		stop()
	}
}
