package handshake

import (
	"crypto/tls"
	"fmt"
)

// Files names the files that a server is set up from. They are read by [New] and again by each [Server.Refresh].
type Files struct {
	Chain string // PEM: the server's certificate, then those that lead to a root (ssl_chain_cert)
	Key   string // its private key (ssl_key); "" if the key is in Chain
	CA    string // PEM: who may sign clients' certificates (ssl_ca_cert); "" if nobody
}

// KeyFormat is how the file of the private key is encoded, numbered as in memcached's `stats settings`.
type KeyFormat uint8

const (
	FormatPEM KeyFormat = 1 // the default: 0 is the same
	FormatDER KeyFormat = 2 // ASN.1: PKCS #8, PKCS #1 or SEC 1
)

// VerifyMode is memcached's ssl_verify_mode: what is asked of clients. See the package's comment.
type VerifyMode uint8

const (
	VerifyNone    VerifyMode = iota // no certificate is asked for
	VerifyRequest                   // a client may have none, but not a bad one
	VerifyRequire                   // a client without a good certificate is refused
	VerifyOnce                      // the same
)

// Flags is the number by which memcached's `stats settings` shows the mode: OpenSSL's flags, 0, 1, 3 or 7.
func (m VerifyMode) Flags() int { return 1<<m - 1 }

// Peer is what a listener asks of its clients.
type Peer uint8

const (
	PeerByMode   Peer = iota // what Config.VerifyMode says
	PeerNone                 // no certificate, whatever the mode: memcached's prefix btls:
	PeerRequired             // a good certificate, whatever the mode: memcached's prefix mtls:
)

// Config is what a [Server] is made from. The zero value of everything but Files.Chain is memcached's default.
type Config struct {
	Files      Files
	KeyFormat  KeyFormat
	VerifyMode VerifyMode
	Mutual     bool   // some listener is PeerRequired, so that Files.CA is needed whatever the mode
	Ciphers    string // suites of TLS 1.2, in OpenSSL's words: see [ParseCiphers]; "" is all of them
	MinVersion uint16 // tls.VersionTLS12, which 0 is too, or tls.VersionTLS13
	NoTickets  bool   // sessions are not resumed
}

// MinVersion translates memcached's ssl_min_version: 2 and 3 are TLS 1.2 and 1.3. TLS 1.0 (0) and 1.1 (1) are refused by the error.
func MinVersion(n int) (uint16, error) {
	switch n {
	case 0, 1:
		return 0, fmt.Errorf("ssl_min_version %d: TLS 1.%d is not offered: 2 is TLS 1.2, 3 is TLS 1.3", n, n)
	case 2:
		return tls.VersionTLS12, nil
	case 3:
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("ssl_min_version %d: it is 2 (TLS 1.2) or 3 (TLS 1.3)", n)
}

// VersionName is memcached's word for a version, as in `stats`: tlsv1.2 or tlsv1.3.
func VersionName(version uint16) string {
	switch version {
	case tls.VersionTLS13:
		return "tlsv1.3"
	case tls.VersionTLS12, 0:
		return "tlsv1.2"
	}
	return "unknown"
}
