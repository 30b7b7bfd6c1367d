package handshake

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// attempt is one handshake.
type attempt struct {
	transport
	keys          keyLog
	ticketMessage int // bytes of the message with the session ticket of TLS 1.3; 0: none was sent
}

// attempts are those that are not in use, all zero but for buffer.
var attempts = sync.Pool{New: func() any { return new(attempt) }}

func newAttempt(conn net.Conn) *attempt {
	a := attempts.Get().(*attempt)
	a.Conn = conn
	return a
}

// wipe makes it zero, the secrets above all. The buffer has only what anybody on the network could see.
func (a *attempt) wipe() {
	a.Conn = nil
	a.in, a.out = records{}, records{}
	a.start, a.end = 0, 0
	a.keys = keyLog{}
	a.ticketMessage = 0
}

// free gives it back.
func (a *attempt) free() {
	a.wipe()
	attempts.Put(a)
}

// Do does the handshake of a connection whose first bytes have not been read, until the deadline; a zero deadline is none. The error is nil
// exactly if the Outcome is Done or Resumed, and else says in words for a log why not.
//
// A client that is refused has been sent its alert when Do returns. A kernel destroys it on its way if the connection is closed while there is
// unread input; so the caller should end the sending half first and discard what comes for a moment.
//
// Do sets the connection's deadline, and takes it away at the end. It leaves closing to the caller, who may also close to end the handshake
// early.
func (s *Server) Do(conn net.Conn, deadline time.Time, peer Peer) (Result, error) {
	result, err := s.do(conn, deadline, peer)
	s.counts[result.Outcome].Add(1)
	if err != nil {
		// Without what is wrapped: a tls.RecordHeaderError, say, has the connection in it.
		return result, errors.New(err.Error())
	}
	return result, nil
}

func (s *Server) do(conn net.Conn, deadline time.Time, peer Peer) (Result, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return Result{Outcome: Disconnected}, err
	}
	a := newAttempt(conn)
	defer a.free()
	client := tls.Server(a, s.configFor(a, peer))
	err := client.Handshake()
	if err != nil {
		return Result{Outcome: classify(err)}, err
	}
	state := client.ConnectionState()
	result := Result{Version: state.Version, Suite: state.CipherSuite}
	if result.Secrets, err = a.secrets(state.Version, state.CipherSuite); err != nil {
		_ = client.CloseWrite() // there is no way to have crypto/tls send another alert than close_notify
		result.Outcome = Internal
		if errors.Is(err, errBehindFinished) {
			result.Outcome = ProtocolViolation
		}
		return result, err
	}
	if state.DidResume {
		result.Outcome = Resumed
	}
	if len(state.PeerCertificates) > 0 {
		result.Client = state.PeerCertificates[0].Subject.CommonName
	}
	result.Leftover = a.leftover()
	_ = conn.SetDeadline(time.Time{}) // fails if it was closed meanwhile, which the caller will see
	return result, nil
}

// configFor is crypto/tls's configuration for one handshake.
func (s *Server) configFor(a *attempt, peer Peer) *tls.Config {
	files := s.files.Load()
	return &tls.Config{
		Time:                   s.now,
		Certificates:           files.certificates,
		ClientCAs:              files.clientCAs,
		ClientAuth:             s.clientAuth(peer),
		CipherSuites:           s.suites,
		MinVersion:             s.config.MinVersion,
		MaxVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: s.config.NoTickets,
		KeyLogWriter:           &a.keys,
		WrapSession: func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
			return a.wrap(s.tickets, state, session)
		},
		UnwrapSession: func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
			return a.unwrap(s.tickets, ticket, state)
		},
	}
}

// clientAuth is what is asked of a client, in crypto/tls's words.
func (s *Server) clientAuth(peer Peer) tls.ClientAuthType {
	mode := s.config.VerifyMode
	switch {
	case peer == PeerRequired, peer == PeerByMode && mode >= VerifyRequire:
		return tls.RequireAndVerifyClientCert
	case peer == PeerByMode && mode == VerifyRequest:
		return tls.VerifyClientCertIfGiven
	}
	return tls.NoClientCert
}

// reasons are crypto/tls's words for errors that have no type, and what they mean.
var reasons = []struct {
	words   string
	outcome Outcome
}{
	{"didn't provide a certificate", NoCertificate},
	{"client certificate", BadCertificate},
	{"client sent certificate", BadCertificate},
	{"only unsupported versions", NoSharedVersion},
	{"inappropriate protocol fallback", NoSharedVersion},
	{"no cipher suite supported by both", NoSharedCipher},
	{"no key exchanges supported by both", NoSharedCipher},
	{"no supported elliptic curves", NoSharedCipher},
	{"certificate's signature algorithms", NoSharedCipher},
	{"missing signature_algorithms", NoSharedCipher},
	{"incompatible point formats", NoSharedCipher},
	{"unsupported SSLv2", NotTLS}, // 0x80: the binary protocol's first byte
	{"failed to sign", Internal},
	{"internal error", Internal},
}

// classify says which outcome an error of crypto/tls's is.
func classify(err error) Outcome {
	var header tls.RecordHeaderError
	var verification *tls.CertificateVerificationError
	var operation *net.OpError
	var network net.Error
	switch {
	case errors.As(err, &verification):
		return BadCertificate
	case errors.As(err, &header) && header.Conn != nil:
		return NotTLS
	case errors.As(err, &operation) && operation.Op == "remote error":
		return ClientAlert
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return Timeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Disconnected
	}
	for _, reason := range reasons {
		if strings.Contains(err.Error(), reason.words) {
			return reason.outcome
		}
	}
	return ProtocolViolation
}
