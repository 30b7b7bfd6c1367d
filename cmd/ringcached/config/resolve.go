package config

import (
	"fmt"
	"path/filepath"

	"ringcached/ring"
)

// Resolve completes what Validate has found no fault with: it looks up addresses, makes paths absolute, since daemons change their directory,
// and gives what was not given the value that follows from the rest.
func (c *Config) Resolve() error { return c.Line.Explain(c.resolve()) }

func (c *Config) resolve() (err error) {
	if c.Engine.NAPIIDs > 0 {
		c.Line.remark("-N, --napi-ids has no effect here: threads are not bound to network queues")
	}
	if err := c.Network.resolve(c.TLS.Enabled); err != nil {
		return err
	}
	if err := c.resolveTLS(); err != nil {
		return err
	}
	files := []struct {
		flag string
		path *string
	}{{"-e, --memory-file", &c.Memory.File}, {"-Y, --auth-file", &c.Protocol.AuthFile}, {"-P, --pidfile", &c.Process.PIDFile}, {"--metrics", &c.Monitoring.Metrics}}
	if !IsPath(c.Monitoring.Metrics) {
		files = files[:3]
	}
	for _, file := range files {
		if *file.path == "" {
			continue
		}
		if *file.path, err = filepath.Abs(*file.path); err != nil {
			return fmt.Errorf("%s: %w", file.flag, err)
		}
	}
	if !c.Memory.clientMemoryGiven {
		c.Memory.ClientMemory = c.Memory.defaultClientMemory(c.Network.MaxConns)
	}
	c.Process.Verbosity = max(c.Process.Verbosity, 0) // without any -v urfave/cli counts below zero, by the number of the flag's aliases
	c.Engine.Batch.Allow, err = ring.ParseFeatures(c.Engine.Features)
	return err
}

// ports are the ports to listen on, as memcached decides it: a unix socket rules out everything else, and -U alone means TCP too.
func (n *Network) ports() (tcp, udp int) {
	switch {
	case n.Unix != "":
		return 0, 0
	case n.UDPPort != 0 && !n.portGiven:
		return n.UDPPort, n.UDPPort
	}
	return n.Port, n.UDPPort
}

// servesUDP reports whether datagrams are served.
func (n *Network) servesUDP() bool {
	if n.Inherited != nil {
		return len(n.Inherited.DatagramAddrs()) > 0
	}
	_, udp := n.ports()
	return udp != 0
}

// resolve finds the addresses to listen on. encrypted is whether there is -Z.
func (n *Network) resolve(encrypted bool) (err error) {
	if n.Inherited != nil {
		n.adopt(encrypted)
		return n.checkHanded(encrypted)
	}
	n.Port, n.UDPPort = n.ports()
	if n.Unix != "" {
		return nil
	}
	if n.items, err = parseListen(n.Hosts.Value(), encrypted); err != nil {
		return err
	}
	streams, err := resolveListen(n.items, n.Port)
	if err != nil {
		return err
	}
	datagrams, err := resolveListen(forDatagrams(n.items), n.UDPPort)
	if err != nil {
		return err
	}
	n.Addrs, n.Labels = splitEndpoints(streams)
	n.UDPAddrs, _ = splitEndpoints(datagrams)
	return nil
}

// adopt makes the addresses those of the sockets that were passed.
func (n *Network) adopt(encrypted bool) {
	n.items, _ = parseListen(n.Hosts.Value(), encrypted) // not used, whatever they are, but remarked on
	tcp, _ := n.ports()
	n.asked, _ = resolveListen(n.items, tcp)
	n.Addrs, n.Labels = n.Inherited.Addrs()
	n.UDPAddrs, n.Unix = n.Inherited.DatagramAddrs(), n.Inherited.UnixPath()
	n.Port, n.UDPPort = 0, 0
	if len(n.Addrs) > 0 {
		n.Port = int(n.Addrs[0].Port())
	}
	if len(n.UDPAddrs) > 0 {
		n.UDPPort = int(n.UDPAddrs[0].Port())
	}
}
