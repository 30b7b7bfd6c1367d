package config

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
	"ringcached/store"
)

// Groups of flags, in --help, in the manual page and in docs/commandline.md.
const (
	GroupBasic        = "Basic"
	GroupNetwork      = "Network"
	GroupMemory       = "Memory"
	GroupProtocol     = "Protocol"
	GroupBatching     = "Batching"
	GroupMonitoring   = "Monitoring"
	GroupProcess      = "Process"
	GroupExperimental = "Experimental" // there to be studied: measurements found no reason to use them
)

// Groups are the groups in the order in which they are shown.
var Groups = []string{GroupBasic, GroupNetwork, GroupMemory, GroupProtocol, GroupBatching, GroupMonitoring, GroupProcess, GroupExperimental}

// Config is all that the command line says about serving. Flags write to it; Validate checks it, then Resolve completes it.
type Config struct {
	Network  Network
	TLS      TLS
	Memory   Memory
	Protocol Protocol
	Engine   Engine
	Process  Process
	Extended Extended

	Monitoring Monitoring

	Line *CommandLine // what it says beside that
}

// New returns what holds without any flag.
func New() *Config {
	return &Config{
		Network:  newNetwork(),
		TLS:      newTLS(),
		Memory:   newMemory(),
		Protocol: newProtocol(),
		Engine:   newEngine(),
		Process:  newProcess(),
		Extended: newExtended(),
		Line:     new(CommandLine),
	}
}

// Flags returns the flags that write to c, in the order of Groups. What c has at the time is their default.
func (c *Config) Flags() []cli.Flag {
	return slices.Concat(c.basicFlags(), c.listenFlags(), c.tlsFlags(), c.servingFlags(), c.memoryFlags(), c.protocolFlags(), c.batchingFlags(), c.monitoringFlags(), c.processFlags(), c.experimentalFlags())
}

// Batch is the configuration of the sockets and loops. The caller adds what only the process knows.
func (c *Config) Batch() batch.Config {
	b := c.Engine.Batch
	b.Listen, b.Labels, b.Datagram = c.Network.Addrs, c.Network.Labels, c.Network.UDPAddrs
	b.Unix, b.UnixMode = c.Network.Unix, c.Network.UnixMode
	if c.Network.Inherited != nil {
		b.Listen, b.Labels, b.Datagram, b.Unix = nil, nil, nil, ""
		b.Inherited = c.Network.Inherited
	}
	b.Backlog, b.MaxConns, b.Pause = c.Network.queue(), c.Network.MaxConns, !c.Extended.RefuseAtLimit
	b.ClientMemory = c.Memory.ClientMemory
	b.TLSHandshakes, b.TLSHandshakeTimeout, b.KernelTLS = c.TLS.Handshakes, c.TLS.HandshakeTimeout, c.Extended.TLS.KernelTLS
	b.IdleTimeout = time.Duration(c.Extended.IdleTimeout) * time.Second
	return b
}

// Store is the configuration of the item store. The caller adds the files of -e that it was passed.
func (c *Config) Store() store.Config {
	s := store.Config{
		Limit:      c.Memory.Limit,
		LimitMax:   max(growth*c.Memory.Limit, growthFrom),
		ItemMax:    int(c.Memory.ItemMax),
		Factor:     c.Memory.Factor,
		ChunkMin:   c.Memory.ItemMin,
		NoEvict:    c.Memory.NoEvict,
		NoCAS:      c.Protocol.NoCAS,
		TrackSizes: c.Extended.TrackSizes,
		HugePages:  c.Memory.HugePages,
		File:       c.Memory.File,
	}
	if c.Process.LockMemory {
		s.LimitMax = 0 // what is locked counts as it is mapped, used or not
	}
	return s
}

// basicFlags are those that nearly every server is started with. --help and the manual page begin with them.
func (c *Config) basicFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "port", Aliases: []string{"p"}, Category: GroupBasic,
			Usage: "TCP `PORT` to listen on; 0: none, -1: any free one",
			Value: noted{wholeNumber{&c.Network.Port, anyPort, 65535}, &c.Network.portGiven},
		},
		&cli.GenericFlag{
			Name: "memory-limit", Aliases: []string{"m"}, Category: GroupBasic,
			Usage: "memory for items, in `MEGABYTES`",
			Value: megabytes{&c.Memory.Limit, 1, 1 << 22},
		},
		&cli.GenericFlag{
			Name: "conn-limit", Aliases: []string{"c"}, Category: GroupBasic,
			Usage: "`CONNECTIONS` that may be open at a time",
			Value: wholeNumber{&c.Network.MaxConns, 1, 1 << 24},
		},
		&cli.StringSliceFlag{
			Name: "listen", Aliases: []string{"l"}, Category: GroupBasic,
			Usage:       "`ADDRESS` to listen on: host, host:port or [v6]:port, behind proto[ascii]: or proto[binary]: for one protocol only; several with commas or by repeating the flag",
			DefaultText: "every interface",
			Destination: c.Network.Hosts,
		},
	}
}
