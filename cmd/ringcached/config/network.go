package config

import (
	"math"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
)

// Network says where connections come from, and how many.
type Network struct {
	Port          int // TCP; 0: none, anyPort: any free one
	portGiven     bool
	UDPPort       int              // likewise
	Amplification int              // reply bytes over UDP for each byte of the request; 0: any number
	Hosts         *cli.StringSlice // the values of -l as typed; empty: every interface
	Unix          string           // path of a unix socket; then nothing else is listened on
	UnixMode      os.FileMode
	Backlog       int
	MaxConns      int

	Inherited *batch.Inherited // sockets that were passed, to serve instead; nil: none. Whoever has them sets it before Validate

	// What Resolve makes of that.
	items           []listenItem
	Addrs, UDPAddrs []netip.AddrPort
	Labels          []uint8          // of Addrs, see Label
	asked           []endpoint       // what would be listened on, if no sockets had been passed; port 0: any
	handedPlain     []netip.AddrPort // those of Addrs that a server hands over and has served without TLS, where -Z and -l ask for it
}

// anyPort as the value of -p or -U asks for a port that is free. (0 was taken: it
// turns them off.)
const anyPort = -1

func newNetwork() Network {
	return Network{Port: 11211, Amplification: 100, Hosts: cli.NewStringSlice(), UnixMode: 0o700, Backlog: 1024, MaxConns: 1024}
}

// listenFlags say where clients are served, and how many.
func (c *Config) listenFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "udp-port", Aliases: []string{"U"}, Category: GroupNetwork,
			Usage: "UDP `PORT` to listen on, and TCP too without -p; 0: none, -1: any free one",
			Value: wholeNumber{&c.Network.UDPPort, anyPort, 65535},
		},
		&cli.GenericFlag{
			Name: "udp-amplification", Category: GroupNetwork,
			Usage: "`BYTES` that a reply over UDP may have for each byte of its request; 0: any number",
			Value: wholeNumber{&c.Network.Amplification, 0, 1 << 15},
		},
		&cli.GenericFlag{
			Name: "unix-socket", Aliases: []string{"s"}, Category: GroupNetwork,
			Usage: "listen on a unix socket with this `PATH`, and on nothing else",
			Value: text{&c.Network.Unix},
		},
		&cli.GenericFlag{
			Name: "unix-mask", Aliases: []string{"a"}, Category: GroupNetwork,
			Usage: "access `MODE` of the unix socket, in octal",
			Value: fileMode{&c.Network.UnixMode},
		},
		&cli.GenericFlag{
			Name: "listen-backlog", Aliases: []string{"b"}, Category: GroupNetwork,
			Usage: "`CONNECTIONS` that may wait to be accepted; below 0: as many as the kernel allows",
			Value: wholeNumber{&c.Network.Backlog, math.MinInt32, 1 << 30},
		},
	}
}

// servingFlags say who serves connections, and for how long.
func (c *Config) servingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "threads", Aliases: []string{"t"}, Category: GroupNetwork,
			Usage:       "number of `THREADS`, each with a listener, a loop and a ring of its own",
			Value:       noted{wholeNumber{&c.Engine.Batch.Threads, 1, 1024}, &c.Engine.threadsGiven},
			DefaultText: "one per usable core",
		},
		&cli.GenericFlag{
			Name: "napi-ids", Aliases: []string{"N"}, Category: GroupNetwork,
			Usage: "accepted for memcached's sake: threads are not bound to the `QUEUES` of a network card",
			Value: optionalNumber{wholeNumber{&c.Engine.NAPIIDs, 1, math.MaxInt32}},
		},
		&cli.BoolFlag{
			Name: "cpu-affinity", Category: GroupNetwork,
			Usage:              "pin each thread to a core",
			DisableDefaultText: true,
			Destination:        &c.Engine.Batch.Affinity,
		},
		&cli.BoolFlag{
			Name: "no-balance", Category: GroupNetwork,
			Usage:              "leave each connection to the thread that accepted it, even if others have fewer",
			DisableDefaultText: true,
			Destination:        &c.Engine.Batch.Stay,
		},
		&cli.GenericFlag{
			Name: "engine", Category: GroupNetwork,
			Usage: "network I/O `ENGINE`: uring, epoll, or auto: uring where the kernel has it",
			Value: choice{&c.Engine.Batch.Engine, []string{batch.EngineAuto, batch.EngineURing, batch.EngineEpoll}},
		},
		&cli.GenericFlag{
			Name: "send-timeout", Category: GroupNetwork,
			Usage: "close a client that takes nothing of its replies for this `TIME`",
			Value: span{&c.Engine.Batch.SendTimeout, time.Second, 24 * time.Hour},
		},
		&cli.GenericFlag{
			Name: "drain-timeout", Category: GroupNetwork,
			Usage: "when told to stop, work on what is in flight for this `TIME` at most",
			Value: span{&c.Engine.Batch.DrainTimeout, 0, time.Hour},
		},
		&cli.GenericFlag{
			Name: "handover-timeout", Category: GroupNetwork,
			Usage: "after SIGUSR2 wait this `TIME` for the new server to be ready, then serve on",
			Value: span{&c.Process.HandoverTimeout, 100 * time.Millisecond, time.Hour},
		},
	}
}

// queue is the backlog as the kernel gets it. With 0, as with 1, a connection or two can wait; a negative number is more than any limit.
func (n *Network) queue() int {
	if n.Backlog < 0 {
		return 1 << 30
	}
	return max(n.Backlog, 1)
}

// Explain logs what the words of -l do not do.
func (n *Network) Explain(log logFunc) {
	for _, item := range n.items {
		item.remark(log)
		if (item.protocol != "" || item.tlsPrefix != "") && item.label() != 0 && !slices.Contains(n.Labels, item.label()) {
			log(0, "-l %s: the protocol has no effect: sockets were passed, and are served instead", item.typed)
		}
	}
}
