package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"ringcached/batch/handshakes"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/cmd/ringcached/web"
)

// gcPercent fits Go's garbage collector to a process whose data lies outside the heap: what is in there are connection records and little else.
// It hardly ever grows, so collecting it at 1 MiB, instead of at 4, costs nothing, but with TLS: handshakes leave garbage, and collecting it at every tenth
// of them holds up the channels. The environment's GOGC overrides it.
const gcPercent = 25

// serve runs the server until it is stopped, or with -d starts a process that does.
func serve(c *config.Config, stderr io.Writer) error {
	program := process.StartedProgram() // before the directory changes
	s := &service{config: c}
	var err error
	if s.inherited, err = process.TakeInheritance(c.SocketLabel); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	daemon := c.Process.Daemon && process.TakeDaemonMark()
	if c.Process.Daemon && !daemon && !s.inherited.HasPredecessor() {
		if s.inherited.Sockets != nil {
			return process.ErrActivatedDaemon
		}
		c.Line.File.Remember()
		return process.LaunchDaemon(stderr, c.Process.Verbosity > 0)
	}
	c.Line.File.Remember()
	process.IgnoreSignals()
	if _, set := os.LookupEnv("GOGC"); !set && !c.TLS.Enabled {
		debug.SetGCPercent(gcPercent)
	}
	verbosity := new(atomic.Int32)
	verbosity.Store(int32(c.Process.Verbosity))
	lines := process.NewLogger(stderr, verbosity)
	defer lines.Flush(process.FlushTime)
	s.explain(lines.Log)
	h := s.newHandover(program, process.WhyNoHandover(daemon), lines.Log)
	defer h.Notifier.Wait()
	defer func() { s.monitor.close() }()
	if err := s.run(h, lines); err != nil {
		return err
	}
	return h.Finish()
}

// explain logs what the user should know about the command line, and about the memory that there is.
func (s *service) explain(log process.LogFunc) {
	s.config.Line.Log(log)
	s.config.Extended.Explain(log)
	s.config.Network.Explain(log)
	s.config.ExplainTLS(log)
	warnOfKernelTLS(s.config, log)
	s.warnOfMemory(process.MemoryLimits("/"), log)
}

// newHandover returns what hands over at SIGUSR2. refused is why this process can't; nil: it can.
func (s *service) newHandover(program process.Program, refused error, log process.LogFunc) *process.Handover {
	return &process.Handover{
		Program:    program,
		Timeout:    s.config.Process.HandoverTimeout,
		Signals:    process.HandoverSignals(),
		OwnSockets: s.inherited.OwnSockets || s.inherited.Sockets == nil,
		Notifier:   &process.Notifier{Log: log, Main: !s.inherited.HasPredecessor()},
		ProtocolOf: config.LabelName,
		Refused:    refused,
		Log:        log,
	}
}

// run puts the server together and runs it. What needs the rights of root, limits and
// listening, is done before the user changes; the rings, which keep the credentials
// that they were made with, are made after.
func (s *service) run(h *process.Handover, lines *process.Logger) error {
	c := s.config
	log := lines.Log
	err := raiseLimits(c, log)
	if err != nil {
		return err
	}
	if err := s.openMonitor(h, log); err != nil {
		return err
	}
	memory := c.Store()
	h.Stopper = process.NewStopper(memory.Limit, h.Notifier, lines) // from here on a signal leaves time to keep the items
	var ctx context.Context
	ctx, h.Stop = context.WithCancel(h.Stopper.Stopping)
	context.AfterFunc(ctx, h.Stopper.StopPromptly)
	if memory.Opened, err = s.inherited.MemoryFiles(ctx, c.Memory.File); err != nil {
		return err
	}
	if c.Memory.File != "" {
		h.Stopper.Enter(process.StageServing, nil)
	}
	begin := time.Now()
	items, err := process.NewStore(memory, log)
	if err != nil {
		return err
	}
	defer items.Close()
	clock := newClock(items, time.Now())
	reportRestored(c.Memory.File, items, time.Since(begin), log)
	process.WarnOfTransientPlace(c.Memory.File, log)
	items.OnLimitCut(func(limit, missing int64, why error) {
		log(0, "cache_memlimit: the limit is %d megabytes, %d less than requested: %v", limit>>20, missing>>20, why)
	})
	if c.Memory.HugePages {
		process.WarnOfSmallPages(c.Memory.File, log)
	}
	h.Items = items
	err = s.serveItems(ctx, h, items, clock, lines)
	// Not deferred: after a panic nothing is known of the items.
	if c.Memory.File != "" {
		h.Stopper.Enter(process.StageSaving, nil)
		keepItems(c.Memory.File, items, clock, h.WaitsForItems(), log)
	}
	h.Stopper.Enter(process.StageNoItems, nil)
	return err
}

// raiseLimits asks the system for descriptors, for lockable memory and for core files.
func raiseLimits(c *config.Config, log process.LogFunc) error {
	others := 0
	if c.Monitoring.Metrics != "" {
		others = web.FilesMost
	}
	if c.TLS.Enabled {
		others += handshakes.FilesMost()
	}
	warning, err := process.RaiseFileLimit(c.Network.MaxConns, c.Engine.Batch.Threads, others)
	if err != nil {
		return err
	}
	if warning != "" {
		log(0, "%s", warning)
	}
	process.RaiseLockLimit()
	if c.Process.CoreDumps {
		return process.RaiseCoreLimit()
	}
	return nil
}
