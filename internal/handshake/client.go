package handshake

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"ringcached/internal/record"
)

// Connect does the client's side of a handshake, for load generators and tests, until the deadline; a zero deadline is none. config is as for
// tls.Client, with two differences: its KeyLogWriter is not used, and without CipherSuites it offers those of [Suites]. Its ClientSessionCache may
// hold a session to resume. Connect fills it in TLS 1.2 only: the tickets of TLS 1.3 come after the handshake, so for them it is filled by a
// tls.Conn that reads something.
//
// The Result is the server's with sides exchanged; Client is empty. The caller zeroes its Secrets. With an error there is no Result: a *net.OpError
// with the operation "remote error" is the server's alert. Connect sets the connection's deadline, takes it away in the end, and leaves closing to the caller.
func Connect(conn net.Conn, config *tls.Config, deadline time.Time) (Result, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return Result{}, err
	}
	a := newAttempt(conn)
	defer a.free()
	config = config.Clone()
	config.KeyLogWriter = &a.keys
	if config.CipherSuites == nil {
		for _, s := range suites {
			config.CipherSuites = append(config.CipherSuites, s.ID)
		}
	}
	var offered *offer
	if config.ClientSessionCache != nil {
		offered = &offer{ClientSessionCache: config.ClientSessionCache}
		config.ClientSessionCache = offered
	}
	client := tls.Client(a, config)
	if err := client.Handshake(); err != nil {
		return Result{}, err
	}
	state := client.ConnectionState()
	result := Result{Version: state.Version, Suite: state.CipherSuite}
	if state.DidResume {
		result.Outcome = Resumed
	}
	var err error
	if state.Version == tls.VersionTLS13 {
		result.Secrets, err = record.FromTraffic(state.CipherSuite, true, a.keys.fromClient.value(), a.keys.fromServer.value())
	} else {
		master := a.keys.master.value()
		if state.DidResume { // crypto/tls logs the master secret of whole handshakes only
			master, err = offered.master()
		}
		if err == nil {
			result.Secrets, err = record.FromMaster(state.CipherSuite, true, master, a.out.random(), a.in.random())
		}
	}
	if err != nil {
		return Result{}, fmt.Errorf("handshake: %w", err)
	}
	result.Leftover = a.leftover()
	return result, conn.SetDeadline(time.Time{})
}

// offer is a session cache that remembers which session it gave to a handshake.
type offer struct {
	tls.ClientSessionCache
	session *tls.ClientSessionState
}

func (o *offer) Get(key string) (*tls.ClientSessionState, bool) {
	s, ok := o.ClientSessionCache.Get(key)
	if ok {
		o.session = s
	}
	return s, ok
}

var errNoMaster = errors.New("the session that was resumed has no master secret")

// master is the master secret of the session, of TLS 1.2. tls.SessionState shows it in its encoding only: version, side, suite and time, and behind them a
// byte with the secret's length and the secret.
func (o *offer) master() ([]byte, error) {
	const before = 2 + 1 + 2 + 8
	if o.session == nil {
		return nil, errNoMaster
	}
	_, state, err := o.session.ResumptionState()
	if err != nil || state == nil {
		return nil, errors.Join(errNoMaster, err)
	}
	text, err := state.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(text)
	if len(text) < before+1+secretMax || binary.BigEndian.Uint16(text) != tls.VersionTLS12 || text[before] != secretMax {
		return nil, errNoMaster
	}
	return bytes.Clone(text[before+1:][:secretMax]), nil
}
