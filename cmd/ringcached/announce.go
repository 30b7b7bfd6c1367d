package main

import (
	"fmt"
	"net/netip"
	"strings"

	"ringcached/batch"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/ring"
)

// announce logs on one line what runs, how and where, and warns of addresses that may be open to more hosts than intended.
func announce(s *service, server *batch.Server, log process.LogFunc) {
	c, choice := s.config, server.Engine()
	log(0, "%s: engine %s (%s), %s (%s), listening on %s", version, choice.Engine, choice.Why,
		plural(server.Threads(), "thread"), c.Engine.ThreadsFrom(), addressList(server.Addrs(), c.Network.Labels, server.DatagramAddrs(), c.Network.Unix))
	s.monitor.announce(log)
	s.announceTLS(log)
	c.Engine.WarnOfUnused(choice.Engine, log)
	warnOfUnrestricted(choice, log)
	if exposed(server.Addrs()) && s.users == nil {
		log(0, "warning: anybody who can reach these addresses can read and change the cache: there is no authentication (-l 127.0.0.1 serves this host only, -Y asks for passwords)")
	}
	if exposed(server.DatagramAddrs()) {
		log(0, "warning: UDP lets anybody who can reach these addresses use the server to flood others (-l 127.0.0.1 serves this host only)")
	}
}

// warnOfUnrestricted says why rings are not restricted to what the server uses them for. Whoever chose that with --ring-features knows.
func warnOfUnrestricted(choice batch.Choice, log process.LogFunc) {
	if why := choice.Features.WhyNot(ring.Restrictions); why != nil && choice.Engine == batch.EngineURing {
		log(0, "warning: rings are not restricted to what the server does, and whoever takes it over could open files through them: %v", why)
	}
}

// addressList lists what is listened on, UDP addresses with a final /udp.
func addressList(tcp []netip.AddrPort, labels []uint8, udp []netip.AddrPort, unix string) string {
	var texts []string
	for i, addr := range tcp {
		text := addr.String()
		if words := config.LabelWords(labels[i]); words != "" {
			text += " (" + words + ")"
		}
		texts = append(texts, text)
	}
	for _, addr := range udp {
		texts = append(texts, addr.String()+"/udp")
	}
	if unix != "" {
		texts = append(texts, unix)
	}
	return strings.Join(texts, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// exposed reports whether hosts other than this one can reach any of the addresses.
func exposed(addrs []netip.AddrPort) bool {
	for _, addr := range addrs {
		if !addr.Addr().IsLoopback() {
			return true
		}
	}
	return false
}
