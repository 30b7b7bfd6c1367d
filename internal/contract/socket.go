package contract

import "net/netip"

// Socket is what a server tells of a connection or of a socket that it listens on.
type Socket struct {
	Conn      uint32         // the Handler's number for it, if it is a connection
	FD        int            // descriptor; -1: it is a direct one, which is no number of the process
	Transport string         // "tcp", "udp" or "unix"
	Peer      netip.AddrPort // not valid: there is none, or it cannot be found out
	Local     netip.AddrPort // likewise
	Path      string         // of the unix socket
	Phase     Phase
	Idle      int // seconds since the last request or piece of a value; since the start for what is listened on
}

// Phase is what a socket is doing.
type Phase uint8

const (
	PhaseListening Phase = iota
	PhaseDatagram        // waits for datagrams
	PhaseNew             // waits for room: connections beyond -c wait
	PhaseReady           // its requests are being handled
	PhasePartial         // a part of a request arrived
	PhaseIdle
	PhaseSending // its peer does not take its replies
	PhaseClosing
	NumPhases = iota
)
