package config

import (
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
)

// Headings of the flags in --help.
const (
	categoryListen   = "Listening"
	categoryMemory   = "Memory"
	categoryProtocol = "Protocol"
	categoryEngine   = "Engine"
	CategoryProcess  = "Process"
)

// Config is all that the command line says about serving. Each part
// registers its own flags and, after parsing, checks what depends on more than
// one of them.
type Config struct {
	Network  Network
	Memory   Memory
	Protocol Protocol
	Engine   Engine
	Process  Process
	Extended Extended

	Line *CommandLine
}

func New() *Config {
	return &Config{
		Network:  newNetwork(),
		Memory:   newMemory(),
		Protocol: newProtocol(),
		Engine:   newEngine(),
		Process:  newProcess(),
		Extended: newExtended(),
		Line:     new(CommandLine),
	}
}

// optionPart is one of the parts of serveOptions.
type optionPart interface {
	flags() []cli.Flag
	validate() error
}

func (o *Config) parts() []optionPart {
	return []optionPart{&o.Network, &o.Memory, &o.Protocol, &o.Engine, &o.Process, &o.Extended}
}

func (o *Config) Flags() (all []cli.Flag) {
	for _, part := range o.parts() {
		all = append(all, part.flags()...)
	}
	return all
}

func (o *Config) Validate() error {
	if o.Engine.napiIDs > 0 {
		o.Line.remark("-N, --napi-ids has no effect here: threads are not bound to network queues")
	}
	return o.Line.Explain(o.validateParts())
}

func (o *Config) validateParts() error {
	for _, part := range o.parts() {
		if err := part.validate(); err != nil {
			return err
		}
	}
	if !o.Memory.clientMemoryGiven {
		o.Memory.ClientMemory = o.Memory.defaultClientMemory(o.Network.MaxConns)
	}
	if o.Protocol.AuthFile != "" && o.Network.UDPPort != 0 {
		return errors.New("-U, --udp-port can't be used with -Y, --auth-file: a datagram does not say who sent it")
	}
	return nil
}

// Batch is the configuration of the sockets and loops.
func (o *Config) Batch() batch.Config {
	c := o.Engine.Batch
	c.Listen, c.Labels, c.Datagram = o.Network.Addrs, o.Network.Labels, o.Network.UDPAddrs
	c.Unix, c.UnixMode = o.Network.Unix, o.Network.UnixMode
	if o.Network.Inherited != nil {
		c.Listen, c.Labels, c.Datagram, c.Unix = nil, nil, nil, ""
		c.Inherited = o.Network.Inherited
	}
	c.Backlog, c.MaxConns, c.Pause = o.Network.queue(), o.Network.MaxConns, !o.Extended.RefuseAtLimit
	c.ClientMemory = o.Memory.ClientMemory
	c.IdleTimeout = time.Duration(o.Extended.IdleTimeout) * time.Second
	return c
}
