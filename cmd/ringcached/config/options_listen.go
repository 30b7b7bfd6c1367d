package config

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
)

// Network says where connections come from, and how many.
type Network struct {
	Port          int // TCP; 0: none, anyPort: any free one
	UDPPort       int // likewise
	Amplification int // reply bytes over UDP for each byte of the request, 0: any number
	portGiven     bool
	Hosts         *cli.StringSlice // as typed; empty: every interface
	Unix          string           // path of a unix socket; then nothing else is listened on
	UnixMode      os.FileMode
	Backlog       int
	MaxConns      int

	Inherited *batch.Inherited // sockets to serve instead; nil: none

	// What validate made of ports and hosts.
	items           []listenItem
	Addrs, UDPAddrs []netip.AddrPort
	Labels          []uint8 // of the addrs
}

// anyPort as the value of -p or -U asks for a port that is free. (0 was taken: it
// turns them off.)
const anyPort = -1

func newNetwork() Network {
	return Network{Port: 11211, Amplification: 100, Hosts: cli.NewStringSlice(), UnixMode: 0o700, Backlog: 1024, MaxConns: 1024}
}

func (o *Network) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "port", Aliases: []string{"p"}, Category: categoryListen,
			Usage: "TCP `PORT` to listen on; 0: none, -1: any free one",
			Value: noted{wholeNumber{&o.Port, anyPort, 65535}, &o.portGiven},
		},
		&cli.GenericFlag{
			Name: "udp-port", Aliases: []string{"U"}, Category: categoryListen,
			Usage: "UDP `PORT` to listen on, and TCP too without -p; 0: none, -1: any free one",
			Value: wholeNumber{&o.UDPPort, anyPort, 65535},
		},
		&cli.GenericFlag{
			Name: "udp-amplification", Category: categoryListen,
			Usage: "`BYTES` that a reply over UDP may have for each byte of its request; 0: any number",
			Value: wholeNumber{&o.Amplification, 0, 1 << 15},
		},
		&cli.StringSliceFlag{
			Name: "listen", Aliases: []string{"l"}, Category: categoryListen,
			Usage:       "`ADDRESS` to listen on: host, host:port or [v6]:port, behind proto[ascii]: or proto[binary]: for one protocol only; several with commas or by repeating the flag",
			DefaultText: "every interface",
			Destination: o.Hosts,
		},
		&cli.GenericFlag{
			Name: "unix-socket", Aliases: []string{"s"}, Category: categoryListen,
			Usage: "listen on a unix socket with this `PATH`, and on nothing else",
			Value: text{&o.Unix},
		},
		&cli.GenericFlag{
			Name: "unix-mask", Aliases: []string{"a"}, Category: categoryListen,
			Usage: "access `MODE` of the unix socket, in octal",
			Value: fileMode{&o.UnixMode},
		},
		&cli.GenericFlag{
			Name: "conn-limit", Aliases: []string{"c"}, Category: categoryListen,
			Usage: "`CONNECTIONS` that may be open at a time",
			Value: wholeNumber{&o.MaxConns, 1, 1 << 24},
		},
		&cli.GenericFlag{
			Name: "listen-backlog", Aliases: []string{"b"}, Category: categoryListen,
			Usage: "`CONNECTIONS` that may wait to be accepted; below 0: as many as the kernel allows",
			Value: wholeNumber{&o.Backlog, math.MinInt32, 1 << 30},
		},
	}
}

// validate decides what is listened on, as memcached does: a unix socket rules out
// everything else, and -U alone means both.
func (o *Network) validate() (err error) {
	if o.Inherited != nil {
		o.adopt()
		return nil
	}
	if o.Unix != "" {
		o.Port, o.UDPPort = 0, 0
		return nil
	}
	if o.UDPPort != 0 && !o.portGiven {
		o.Port = o.UDPPort
	}
	if o.items, err = parseListen(o.Hosts.Value()); err != nil {
		return err
	}
	streams, err := resolveListen(o.items, o.Port)
	if err != nil {
		return err
	}
	datagrams, err := resolveListen(withoutProtocols(o.items), o.UDPPort)
	if err != nil {
		return err
	}
	o.Addrs, o.Labels = splitEndpoints(streams)
	o.UDPAddrs, _ = splitEndpoints(datagrams)
	if len(o.Addrs)+len(o.UDPAddrs) == 0 {
		return errors.New("-p 0 turns TCP off, and there is nothing else to listen on")
	}
	return nil
}

// adopt makes the options those of the sockets that are there.
func (o *Network) adopt() {
	o.items, _ = parseListen(o.Hosts.Value()) // not used, whatever they are, but remarked on
	o.Addrs, o.Labels = o.Inherited.Addrs()
	o.UDPAddrs, o.Unix = o.Inherited.DatagramAddrs(), o.Inherited.UnixPath()
	o.Port, o.UDPPort = 0, 0
	if len(o.Addrs) > 0 {
		o.Port = int(o.Addrs[0].Port())
	}
	if len(o.UDPAddrs) > 0 {
		o.UDPPort = int(o.UDPAddrs[0].Port())
	}
}

// queue is the backlog as the kernel gets it. With 0, as with 1, a connection or two can wait; a negative number is more than any limit.
func (o *Network) queue() int {
	if o.Backlog < 0 {
		return 1 << 30
	}
	return max(o.Backlog, 1)
}

// Explain logs what the words of -l do not do.
func (o *Network) Explain(log logFunc) {
	for _, p := range o.items {
		p.remark(log)
		if p.label() != 0 && !slices.Contains(o.Labels, p.label()) {
			log(0, "-l %s: the protocol has no effect: sockets were passed, and are served instead", p.typed)
		}
	}
}
