package handshake

import "sync/atomic"

// Outcome is how a handshake ended.
type Outcome uint8

const (
	Done              Outcome = iota // a whole handshake
	Resumed                          // a session of before went on
	Timeout                          // not done by the deadline
	NotTLS                           // the client's first bytes are no TLS
	BadCertificate                   // the client's certificate is not good
	NoCertificate                    // the client has none, and one is required
	NoSharedVersion                  // the client speaks no version that is offered
	NoSharedCipher                   // no suite, group or signature that both sides know
	ClientAlert                      // the client ended it by an alert: it trusts the server's certificate not, say
	Disconnected                     // the client hung up
	ProtocolViolation                // the client broke a rule of TLS
	Internal                         // a failure of the server's own
	Outcomes          = iota         // how many there are
)

// outcomeNames are Outcome.String, as the names of statistics are spelled.
var outcomeNames = [Outcomes]string{"done", "resumed", "timeout", "not_tls", "bad_certificate", "no_certificate",
	"no_shared_version", "no_shared_cipher", "client_alert", "disconnected", "protocol_violation", "internal"}

// String is the outcome in the spelling of a statistic's name: no_shared_cipher.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// OK says that the connection can be used.
func (o Outcome) OK() bool { return o <= Resumed }

// Counts says how many handshakes ended in which way, by [Outcome].
type Counts [Outcomes]uint64

// Failed is the number of those that did not end in a connection: memcached's ssl_handshake_errors.
func (c *Counts) Failed() (n uint64) {
	for o, count := range c {
		if !Outcome(o).OK() {
			n += count
		}
	}
	return n
}

// counters are Counts that are being counted.
type counters [Outcomes]atomic.Uint64

func (c *counters) read() (counts Counts) {
	for o := range c {
		counts[o] = c[o].Load()
	}
	return counts
}
