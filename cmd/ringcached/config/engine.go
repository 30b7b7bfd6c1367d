package config

import (
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
	"ringcached/ring"
)

// Engine says how requests are served: by how many threads, with which engine, and how the engine batches.
type Engine struct {
	Batch    batch.Config // without what Config.Batch adds
	Features string       // of the kernel, as ring.ParseFeatures reads them
	NAPIIDs  int          // 0: not given

	threadsGiven bool
	threadsFrom  string // where the number comes from that holds without -t
}

func newEngine() Engine {
	o := Engine{Features: "all", Batch: batch.DefaultConfig()}
	o.SetDefaultThreads(runtime.NumCPU(), "usable cores")
	return o
}

// SetDefaultThreads says how many threads there are without -t, and where the number comes from. It is for before flags are read.
func (e *Engine) SetDefaultThreads(threads int, from string) {
	e.Batch.Threads, e.threadsFrom = threads, from
}

// ThreadsFrom says where the number of threads comes from.
func (e *Engine) ThreadsFrom() string {
	if e.threadsGiven {
		return "-t"
	}
	return e.threadsFrom
}

// batchingFlags say how the uring engine batches.
func (c *Config) batchingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "batch-depth", Category: GroupBatching,
			Usage: "`OPERATIONS` gathered before they are submitted; 1: each on its own (uring)",
			Value: wholeNumber{&c.Engine.Batch.Depth, 1, 512},
		},
		&cli.GenericFlag{
			Name: "batch-wait", Category: GroupBatching,
			Usage: "`COMPLETIONS` to wait for, but no longer than --batch-timeout; auto: by load (uring)",
			Value: batchWait{wholeNumber{&c.Engine.Batch.Wait, 1, 512}},
		},
		&cli.GenericFlag{
			Name: "batch-timeout", Category: GroupBatching,
			Usage: "longest `TIME` to wait for more completions than one (uring)",
			Value: span{&c.Engine.Batch.Timeout, 0, time.Second},
		},
		&cli.GenericFlag{
			Name: "ring-buffers", Category: GroupBatching,
			Usage: "receive `BUFFERS` of each thread (uring)",
			Value: wholeNumber{&c.Engine.Batch.Buffers, 1, ring.MaxBuffers},
		},
		&cli.GenericFlag{
			Name: "ring-buffer-size", Category: GroupBatching,
			Usage: "size of a receive buffer in `BYTES` (uring)",
			Value: wholeNumber{&c.Engine.Batch.BufferSize, 64, 1 << 20},
		},
		&cli.GenericFlag{
			Name: "park-after", Category: GroupBatching,
			Usage: "hold a connection that sends nothing for this `TIME` in less kernel memory; 0: never (uring)",
			Value: span{&c.Engine.Batch.ParkAfter, 0, 24 * time.Hour},
		},
	}
}

// experimentalFlags are there to be studied: measurements found no reason to use them.
func (c *Config) experimentalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "ring-features", Category: GroupExperimental,
			Usage: "kernel `FEATURES` to use: all, none, a release such as 6.0, or names that probe lists (uring)",
			Value: featureNames{text{&c.Engine.Features}},
		},
		&cli.GenericFlag{
			Name: "send-zc", Category: GroupExperimental,
			Usage: "send replies of at least this many `BYTES` without copying them; 0: none (uring, kernel 6.1)",
			Value: wholeNumber{&c.Engine.Batch.ZeroCopy, 0, math.MaxInt32},
		},
		&cli.BoolFlag{
			Name: "direct-descriptors", Category: GroupExperimental,
			Usage:              "keep connections out of the descriptor table (uring, kernel 6.13)",
			DisableDefaultText: true,
			Destination:        &c.Engine.Batch.Direct,
		},
		&cli.GenericFlag{
			Name: "sqpoll", Category: GroupExperimental,
			Usage: "let a kernel thread submit for each thread, which sleeps after this `TIME` without work; 0: none (uring)",
			Value: span{&c.Engine.Batch.SQPoll, 0, time.Minute},
		},
		&cli.GenericFlag{
			Name: "busy-poll", Category: GroupExperimental,
			Usage: "before sleeping ask the network devices for packets for this `TIME`; 0: not (uring, kernel 6.9)",
			Value: span{&c.Engine.Batch.BusyPoll, 0, time.Second},
		},
		&cli.BoolFlag{
			Name: "cpu-steering", Category: GroupExperimental,
			Usage:              "give what arrives on a core to the thread that --cpu-affinity pins there",
			DisableDefaultText: true,
			Destination:        &c.Engine.Batch.Steer,
		},
		&cli.BoolFlag{
			Name: "one-accept-queue", Category: GroupExperimental,
			Usage:              "all threads accept from one socket, instead of each from its own",
			DisableDefaultText: true,
			Destination:        &c.Engine.Batch.OneQueue,
		},
	}
}

// WarnOfUnused warns of flags that were given for the uring engine where another one is taken. Whoever named that one knows.
func (e *Engine) WarnOfUnused(engine string, log logFunc) {
	if engine == batch.EngineURing {
		return
	}
	var unused []string
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"--sqpoll", e.Batch.SQPoll > 0}, {"--busy-poll", e.Batch.BusyPoll > 0},
		{"--direct-descriptors", e.Batch.Direct}, {"--send-zc", e.Batch.ZeroCopy > 0},
	} {
		if flag.set {
			unused = append(unused, flag.name)
		}
	}
	level := 1
	if e.Batch.Engine == batch.EngineAuto {
		level = 0
	}
	if len(unused) > 0 {
		log(level, "warning: without effect, for the engine is %s: %s", engine, strings.Join(unused, ", "))
	}
}
