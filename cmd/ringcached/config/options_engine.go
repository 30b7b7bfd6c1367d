package config

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
	"ringcached/ring"
)

// Engine says how requests are served: by how many threads, with which
// engine, and how the engine batches.
type Engine struct {
	features string       // of the kernel's, as ring.ParseFeatures reads them
	Batch    batch.Config // the rest, without what is listened on

	threadsGiven bool
	napiIDs      int // 0: not given
}

func newEngine() Engine {
	o := Engine{features: "all", Batch: batch.DefaultConfig()}
	o.Batch.Threads = runtime.GOMAXPROCS(0)
	return o
}

func (o *Engine) flags() []cli.Flag {
	return slices.Concat(o.threadFlags(), o.batchFlags(), o.pollFlags())
}

func (o *Engine) threadFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "threads", Aliases: []string{"t"}, Category: categoryEngine,
			Usage:       "number of `THREADS`, each with a listener, a loop and a ring of its own",
			Value:       noted{wholeNumber{&o.Batch.Threads, 1, 1024}, &o.threadsGiven},
			DefaultText: "one per usable core",
		},
		&cli.GenericFlag{
			Name: "napi-ids", Aliases: []string{"N"}, Category: categoryEngine,
			Usage: "accepted for memcached's sake: threads are not bound to the `QUEUES` of a network card",
			Value: optionalNumber{wholeNumber{&o.napiIDs, 1, math.MaxInt32}},
		},
		&cli.BoolFlag{
			Name: "cpu-affinity", Category: categoryEngine,
			Usage:              "pin each thread to a core",
			DisableDefaultText: true,
			Destination:        &o.Batch.Affinity,
		},
		&cli.BoolFlag{
			Name: "cpu-steering", Category: categoryEngine,
			Usage:              "give what arrives on a core to the thread that --cpu-affinity pins there",
			DisableDefaultText: true,
			Destination:        &o.Batch.Steer,
		},
		&cli.BoolFlag{
			Name: "one-accept-queue", Category: categoryEngine,
			Usage:              "all threads accept from one socket, instead of each from its own",
			DisableDefaultText: true,
			Destination:        &o.Batch.OneQueue,
		},
		&cli.BoolFlag{
			Name: "no-balance", Category: categoryEngine,
			Usage:              "leave each connection to the thread that accepted it, even if others have fewer",
			DisableDefaultText: true,
			Destination:        &o.Batch.Stay,
		},
		&cli.GenericFlag{
			Name: "engine", Category: categoryEngine,
			Usage: "network I/O `ENGINE`: uring, epoll, or auto: uring where the kernel has it",
			Value: choice{&o.Batch.Engine, []string{batch.EngineAuto, batch.EngineURing, batch.EngineEpoll}},
		},
		&cli.GenericFlag{
			Name: "send-timeout", Category: categoryEngine,
			Usage: "close a client that takes nothing of its replies for this `TIME`",
			Value: span{&o.Batch.SendTimeout, time.Second, 24 * time.Hour},
		},
		&cli.GenericFlag{
			Name: "drain-timeout", Category: categoryEngine,
			Usage: "when told to stop, work on what is in flight for this `TIME` at most",
			Value: span{&o.Batch.DrainTimeout, 0, time.Hour},
		},
	}
}

func (o *Engine) batchFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "batch-depth", Category: categoryEngine,
			Usage: "`OPERATIONS` gathered before they are submitted; 1: each on its own (uring)",
			Value: wholeNumber{&o.Batch.Depth, 1, 512},
		},
		&cli.GenericFlag{
			Name: "batch-wait", Category: categoryEngine,
			Usage: "`COMPLETIONS` to wait for, but no longer than --batch-timeout; auto: by load (uring)",
			Value: batchWait{wholeNumber{&o.Batch.Wait, 1, 512}},
		},
		&cli.GenericFlag{
			Name: "batch-timeout", Category: categoryEngine,
			Usage: "longest `TIME` to wait for more completions than one (uring)",
			Value: span{&o.Batch.Timeout, 0, time.Second},
		},
		&cli.GenericFlag{
			Name: "ring-buffers", Category: categoryEngine,
			Usage: "receive `BUFFERS` of each thread (uring)",
			Value: wholeNumber{&o.Batch.Buffers, 1, ring.MaxBuffers},
		},
		&cli.GenericFlag{
			Name: "ring-buffer-size", Category: categoryEngine,
			Usage: "size of a receive buffer in `BYTES` (uring)",
			Value: wholeNumber{&o.Batch.BufferSize, 64, 1 << 20},
		},
		&cli.GenericFlag{
			Name: "ring-features", Category: categoryEngine,
			Usage: "kernel `FEATURES` to use: all, none, a release such as 6.0, or names that probe lists (uring)",
			Value: text{&o.features},
		},
		&cli.GenericFlag{
			Name: "send-zc", Category: categoryEngine,
			Usage: "send replies of at least `BYTES` without copying them; 0: none (uring, kernel 6.1)",
			Value: wholeNumber{&o.Batch.ZeroCopy, 0, math.MaxInt32},
		},
		&cli.GenericFlag{
			Name: "park-after", Category: categoryEngine,
			Usage: "hold a connection that sends nothing for this `TIME` in less kernel memory; 0: never (uring)",
			Value: span{&o.Batch.ParkAfter, 0, 24 * time.Hour},
		},
		&cli.BoolFlag{
			Name: "direct-descriptors", Category: categoryEngine,
			Usage:              "keep connections out of the descriptor table (uring, kernel 6.13)",
			DisableDefaultText: true,
			Destination:        &o.Batch.Direct,
		},
	}
}

func (o *Engine) pollFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "sqpoll", Category: categoryEngine,
			Usage: "let a kernel thread submit for each thread, which sleeps after this `TIME` without work; 0: none (uring)",
			Value: span{&o.Batch.SQPoll, 0, time.Minute},
		},
		&cli.GenericFlag{
			Name: "busy-poll", Category: categoryEngine,
			Usage: "before sleeping ask the network devices for packets for this `TIME`; 0: not (uring, kernel 6.9)",
			Value: span{&o.Batch.BusyPoll, 0, time.Second},
		},
	}
}

// WarnOfUnused warns of flags that were given for the uring engine where another one is taken. Whoever named that one knows.
func (o *Engine) WarnOfUnused(engine string, log logFunc) {
	if engine == batch.EngineURing {
		return
	}
	var unused []string
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"--sqpoll", o.Batch.SQPoll > 0}, {"--busy-poll", o.Batch.BusyPoll > 0},
		{"--direct-descriptors", o.Batch.Direct}, {"--send-zc", o.Batch.ZeroCopy > 0},
	} {
		if flag.set {
			unused = append(unused, flag.name)
		}
	}
	level := 1
	if o.Batch.Engine == batch.EngineAuto {
		level = 0
	}
	if len(unused) > 0 {
		log(level, "warning: without effect, for the engine is %s: %s", engine, strings.Join(unused, ", "))
	}
}

func (o *Engine) validate() (err error) {
	if o.threadsGiven && o.napiIDs > o.Batch.Threads {
		return fmt.Errorf("-N, --napi-ids (%d) must be at most -t, --threads (%d)", o.napiIDs, o.Batch.Threads)
	}
	if o.Batch.Steer && !o.Batch.Affinity {
		return errors.New("--cpu-steering needs --cpu-affinity")
	}
	if o.Batch.Steer && o.Batch.OneQueue {
		return errors.New("--cpu-steering can't be used with --one-accept-queue: there is nothing to choose from")
	}
	if o.Batch.SQPoll > 0 && o.Batch.SQPoll < time.Millisecond {
		return errors.New("--sqpoll is 0 or at least 1ms")
	}
	if o.Batch.Wait != 1 && o.Batch.Timeout <= 0 {
		return errors.New("--batch-wait other than 1 needs a --batch-timeout above 0")
	}
	if o.Batch.ParkAfter > 0 && o.Batch.ParkAfter < time.Second {
		return errors.New("--park-after must be 0 or at least 1s")
	}
	if o.Batch.Allow, err = ring.ParseFeatures(o.features); err != nil {
		return fmt.Errorf("--ring-features: %w", err)
	}
	return nil
}
