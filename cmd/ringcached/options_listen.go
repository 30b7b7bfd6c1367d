package main

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"ringcached/batch"
)

// listenOptions says where connections come from, and how many.
type listenOptions struct {
	port     int // TCP; 0: none, anyPort: any free one
	udpPort  int // likewise
	amplify  int // reply bytes over UDP for each byte of the request, 0: any number
	tcpGiven bool
	hosts    *cli.StringSlice // as typed; empty: every interface
	unix     string           // path of a unix socket; then nothing else is listened on
	unixMode os.FileMode
	backlog  int
	maxConns int

	inherited *batch.Inherited // sockets to serve instead; nil: none

	// What validate made of ports and hosts.
	places          []place
	addrs, udpAddrs []netip.AddrPort
	labels          []uint8 // of the addrs
}

// anyPort as the value of -p or -U asks for a port that is free. (0 was taken: it
// turns them off.)
const anyPort = -1

func newListenOptions() listenOptions {
	return listenOptions{port: 11211, amplify: 100, hosts: cli.NewStringSlice(), unixMode: 0o700, backlog: 1024, maxConns: 1024}
}

func (o *listenOptions) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "port", Aliases: []string{"p"}, Category: categoryListen,
			Usage: "TCP `PORT` to listen on; 0: none, -1: any free one",
			Value: noted{wholeNumber{&o.port, anyPort, 65535}, &o.tcpGiven},
		},
		&cli.GenericFlag{
			Name: "udp-port", Aliases: []string{"U"}, Category: categoryListen,
			Usage: "UDP `PORT` to listen on, and TCP too without -p; 0: none, -1: any free one",
			Value: wholeNumber{&o.udpPort, anyPort, 65535},
		},
		&cli.GenericFlag{
			Name: "udp-amplification", Category: categoryListen,
			Usage: "`BYTES` that a reply over UDP may have for each byte of its request; 0: any number",
			Value: wholeNumber{&o.amplify, 0, 1 << 15},
		},
		&cli.StringSliceFlag{
			Name: "listen", Aliases: []string{"l"}, Category: categoryListen,
			Usage:       "`ADDRESS` to listen on: host, host:port or [v6]:port, behind proto[ascii]: or proto[binary]: for one protocol only; several with commas or by repeating the flag",
			DefaultText: "every interface",
			Destination: o.hosts,
		},
		&cli.GenericFlag{
			Name: "unix-socket", Aliases: []string{"s"}, Category: categoryListen,
			Usage: "listen on a unix socket with this `PATH`, and on nothing else",
			Value: text{&o.unix},
		},
		&cli.GenericFlag{
			Name: "unix-mask", Aliases: []string{"a"}, Category: categoryListen,
			Usage: "access `MODE` of the unix socket, in octal",
			Value: fileMode{&o.unixMode},
		},
		&cli.GenericFlag{
			Name: "conn-limit", Aliases: []string{"c"}, Category: categoryListen,
			Usage: "`CONNECTIONS` that may be open at a time",
			Value: wholeNumber{&o.maxConns, 1, 1 << 24},
		},
		&cli.GenericFlag{
			Name: "listen-backlog", Aliases: []string{"b"}, Category: categoryListen,
			Usage: "`CONNECTIONS` that may wait to be accepted; below 0: as many as the kernel allows",
			Value: wholeNumber{&o.backlog, math.MinInt32, 1 << 30},
		},
	}
}

// validate decides what is listened on, as memcached does: a unix socket rules out
// everything else, and -U alone means both.
func (o *listenOptions) validate() (err error) {
	if o.inherited != nil {
		o.adopt()
		return nil
	}
	if o.unix != "" {
		o.port, o.udpPort = 0, 0
		return nil
	}
	if o.udpPort != 0 && !o.tcpGiven {
		o.port = o.udpPort
	}
	if o.places, err = parsePlaces(o.hosts.Value()); err != nil {
		return err
	}
	streams, err := resolveListen(o.places, o.port)
	if err != nil {
		return err
	}
	datagrams, err := resolveListen(withoutProtocols(o.places), o.udpPort)
	if err != nil {
		return err
	}
	o.addrs, o.labels = splitEndpoints(streams)
	o.udpAddrs, _ = splitEndpoints(datagrams)
	if len(o.addrs)+len(o.udpAddrs) == 0 {
		return errors.New("-p 0 turns TCP off, and there is nothing else to listen on")
	}
	return nil
}

// adopt makes the options those of the sockets that are there.
func (o *listenOptions) adopt() {
	o.places, _ = parsePlaces(o.hosts.Value()) // not used, whatever they are, but remarked on
	o.addrs, o.labels = o.inherited.Addrs()
	o.udpAddrs, o.unix = o.inherited.DatagramAddrs(), o.inherited.UnixPath()
	o.port, o.udpPort = 0, 0
	if len(o.addrs) > 0 {
		o.port = int(o.addrs[0].Port())
	}
	if len(o.udpAddrs) > 0 {
		o.udpPort = int(o.udpAddrs[0].Port())
	}
}

// queue is the backlog as the kernel gets it. With 0, as with 1, a connection or two can wait; a negative number is more than any limit.
func (o *listenOptions) queue() int {
	if o.backlog < 0 {
		return 1 << 30
	}
	return max(o.backlog, 1)
}

// explain logs what the words of -l do not do.
func (o *listenOptions) explain(log logFunc) {
	for _, p := range o.places {
		p.remark(log)
		if p.label() != 0 && !slices.Contains(o.labels, p.label()) {
			log(0, "-l %s: the protocol has no effect: sockets were passed, and are served instead", p.typed)
		}
	}
}

// exposed tells whether hosts other than this one can reach any of the addresses.
func exposed(addrs []netip.AddrPort) bool {
	for _, addr := range addrs {
		if !addr.Addr().IsLoopback() {
			return true
		}
	}
	return false
}
