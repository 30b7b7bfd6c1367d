package main

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/batch"
	"ringcached/proto"
	"ringcached/store"
)

// serve runs the server until it is stopped, or with -d starts a process that does.
func serve(o *serveOptions, stderr io.Writer) error {
	if err := o.validate(); err != nil {
		return err
	}
	if o.process.daemon && !takeDaemonMark() {
		return launch(stderr, o.process.verbosity > 0)
	}
	ignoreSignals()
	verbosity := new(atomic.Int32)
	verbosity.Store(int32(o.process.verbosity))
	log := newLog(stderr, verbosity)
	o.extended.explain(log)
	return o.run(verbosity, log)
}

// run puts the server together and runs it. What needs the rights of root, limits and
// listening, is done before the user changes; the rings, which keep the credentials
// that they were made with, are made after.
func (o *serveOptions) run(verbosity *atomic.Int32, log logFunc) error {
	if err := raiseLimits(o, log); err != nil {
		return err
	}
	memory := o.memory.store()
	if o.process.lockMemory {
		memory.LimitMax = 0 // what is locked counts as it is mapped, used or not
	}
	ctx, stop := untilStopped(log) // from here on a signal leaves time to keep the items
	begin := time.Now()
	items, err := store.New(memory)
	if err != nil {
		return err
	}
	defer items.Close()
	clock := newClock(items, time.Now())
	o.memory.reportRestored(items, time.Since(begin), log)
	o.memory.warnOfSmallPages(log)
	err = o.serveItems(ctx, stop, items, clock, verbosity, log)
	// Not deferred: after a panic nothing is known of the items.
	o.memory.keep(items, clock, log)
	return err
}

// serveItems serves from the store until the server is stopped. When it has returned nobody uses the store any more.
func (o *serveOptions) serveItems(ctx context.Context, stop func(), items *store.Store, clock *clock, verbosity *atomic.Int32, log logFunc) (err error) {
	items.SetAutomove(o.extended.automove)
	if o.process.lockMemory {
		lockMemory(log)
	}
	protocol := proto.NewServer(items, proto.Config{
		Settings:         o.settings(),
		Version:          memcachedVersion,
		Protocol:         bindings[o.protocol.binding],
		Auth:             o.protocol.authenticator(),
		RequestsPerEvent: o.protocol.perEvent,
		Start:            clock.start,
		Started:          items.Now(),
		Shutdown:         o.protocol.shutdownHook(stop, log),
		Verbosity:        verbosity,
		Log:              func(format string, args ...any) { log(2, format, args...) },
	})
	rereadAtHangup(o.protocol.users, log)

	var server *batch.Server
	config := o.batch()
	config.Log = log
	config.Ready = func() { o.ready(server, stop, log) }
	server, err = o.open(config, func(channel int) batch.Handler {
		return newHandler(protocol.NewWorker(), channel, clock)
	})
	if err != nil {
		return err
	}
	defer server.Close()
	protocol.SetEngine(engineStats{server, o.extended.idleTimeout > 0})
	if err := o.publish(server, log); err != nil {
		return err
	}
	defer o.withdraw(log)
	if err := o.process.becomeUser(); err != nil {
		return err
	}
	if err := server.Choose(); err != nil {
		server.Close()
		return err
	}
	defer maintain(protocol)()
	return server.Serve(ctx)
}

// maintain lets the protocol's work in the background go on, until the function that it returns has ended it.
func maintain(protocol *proto.Server) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { protocol.Maintain(ctx) })
	return func() {
		cancel()
		work.Wait()
	}
}

// ready is called when the server serves.
func (o *serveOptions) ready(server *batch.Server, stop func(), log logFunc) {
	announce(o, server, log)
	go slim()
	if !o.process.daemon {
		return
	}
	if err := detach(o.process.verbosity > 0, o.process.coreDumps); err != nil {
		log(0, "-d: %v", err)
		stop()
	}
}

// open makes the server listen. A unix socket is to belong to the user: then the user
// changes first, as always in memcached.
func (o *serveOptions) open(config batch.Config, handlers func(channel int) batch.Handler) (*batch.Server, error) {
	if config.Unix != "" {
		if err := o.process.becomeUser(); err != nil {
			return nil, err
		}
	}
	return batch.New(config, handlers)
}

// publish writes the files that tell others of the server. As in memcached a process
// id that cannot be written is no reason not to serve.
func (o *serveOptions) publish(server *batch.Server, log logFunc) error {
	if o.process.pidFile != "" {
		if err := writePIDFile(o.process.pidFile); err != nil {
			log(0, "warning: %v", err)
		}
	}
	return writePortFile(server.Addrs(), server.DatagramAddrs())
}

// withdraw removes the file with the process id.
func (o *serveOptions) withdraw(log logFunc) {
	if o.process.pidFile != "" {
		if err := os.Remove(o.process.pidFile); err != nil && !os.IsNotExist(err) {
			log(1, "-P, --pidfile: %v", err)
		}
	}
}

// shutdownHook is what the command shutdown does: nil unless it is allowed. The server
// always finishes what is in flight, so both kinds are the same.
func (o *protocolOptions) shutdownHook(stop func(), log logFunc) func(graceful bool) {
	if !o.shutdown {
		return nil
	}
	return func(bool) {
		log(1, "shut down by a client")
		stop()
	}
}

// raiseLimits asks the system for descriptors, for lockable memory and for core files.
func raiseLimits(o *serveOptions, log logFunc) error {
	warning, err := raiseFileLimit(o.listen.maxConns, o.engine.batch.Threads)
	if err != nil {
		return err
	}
	if warning != "" {
		log(0, "%s", warning)
	}
	raiseLockLimit()
	if o.process.coreDumps {
		return raiseCoreLimit()
	}
	return nil
}
