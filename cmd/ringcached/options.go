package main

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
	categoryProcess  = "Process"
)

// serveOptions is all that the command line says about serving. Each part
// registers its own flags and, after parsing, checks what depends on more than
// one of them.
type serveOptions struct {
	listen   listenOptions
	memory   memoryOptions
	protocol protocolOptions
	engine   engineOptions
	process  processOptions
	extended extendedOptions

	line *startLine
}

func newServeOptions() *serveOptions {
	return &serveOptions{
		listen:   newListenOptions(),
		memory:   newMemoryOptions(),
		protocol: newProtocolOptions(),
		engine:   newEngineOptions(),
		process:  newProcessOptions(),
		extended: newExtendedOptions(),
		line:     new(startLine),
	}
}

// optionPart is one of the parts of serveOptions.
type optionPart interface {
	flags() []cli.Flag
	validate() error
}

func (o *serveOptions) parts() []optionPart {
	return []optionPart{&o.listen, &o.memory, &o.protocol, &o.engine, &o.process, &o.extended}
}

func (o *serveOptions) flags() (all []cli.Flag) {
	for _, part := range o.parts() {
		all = append(all, part.flags()...)
	}
	return all
}

func (o *serveOptions) validate() error {
	if o.engine.napiIDs > 0 {
		o.line.remark("-N, --napi-ids has no effect here: threads are not bound to network queues")
	}
	return o.line.explain(o.validateParts())
}

func (o *serveOptions) validateParts() error {
	for _, part := range o.parts() {
		if err := part.validate(); err != nil {
			return err
		}
	}
	if !o.memory.clientsGiven {
		o.memory.clients = o.memory.clientsFor(o.listen.maxConns)
	}
	if o.protocol.authFile != "" && o.listen.udpPort != 0 {
		return errors.New("-U, --udp-port can't be used with -Y, --auth-file: a datagram does not say who sent it")
	}
	if o.engine.batch.Engine == batch.EngineNet && o.listen.udpPort != 0 {
		return errors.New("--engine net can't be used with -U, --udp-port: it serves no UDP")
	}
	return nil
}

// batch is the configuration of the sockets and loops.
func (o *serveOptions) batch() batch.Config {
	c := o.engine.batch
	c.Listen, c.Labels, c.Datagram = o.listen.addrs, o.listen.labels, o.listen.udpAddrs
	c.Unix, c.UnixMode = o.listen.unix, o.listen.unixMode
	if o.listen.inherited != nil {
		c.Listen, c.Labels, c.Datagram, c.Unix = nil, nil, nil, ""
		c.Inherited = o.listen.inherited
	}
	c.Backlog, c.MaxConns, c.Pause = o.listen.queue(), o.listen.maxConns, !o.extended.refuse
	c.ClientMemory = o.memory.clients
	c.IdleTimeout = time.Duration(o.extended.idleTimeout) * time.Second
	return c
}
