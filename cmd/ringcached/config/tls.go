package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ringcached/internal/contract"
)

// TLS says whether connections are encrypted, and how many may shake hands.
type TLS struct {
	Enabled          bool          // -Z
	Handshakes       int           // most at a time
	HandshakeTimeout time.Duration // for a handshake, from accept

	Mutual bool // some listener requires certificates of clients whatever ssl_verify_mode says; Resolve finds out
}

// TLSOptions are what -o says about TLS, with memcached's meanings.
type TLSOptions struct {
	Chain, Key, CA string // paths; no Key: it is in Chain; no CA: none
	KeyFormat      int    // keyPEM or keyDER
	VerifyMode     int    // what is asked of clients: verifyNone to verifyOnce
	Ciphers        string // an OpenSSL list, for TLS 1.2; "": the usual ones
	MinVersion     int    // 2 is TLS 1.2, 3 is TLS 1.3
	SessionCache   bool
	KernelTLS      bool
}

// Formats of the private key, numbered as OpenSSL does it (SSL_FILETYPE_PEM and SSL_FILETYPE_ASN1 of openssl/ssl.h).
const (
	keyPEM = 1
	keyDER = 2
)

// What is asked of clients, as memcached numbers it.
const (
	verifyNone    = iota // no certificate
	verifyRequest        // a certificate, which may be missing, but not wrong
	verifyRequire        // a certificate
	verifyOnce           // likewise: without renegotiation there is no second time
)

// oldestVersion is the least number of ssl_min_version that can be served.
const oldestVersion = 2

// tlsVersions are the names of ssl_min_version's numbers.
var tlsVersions = []string{"tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"}

// MinVersionName is the oldest version of TLS that clients may speak, as `stats settings` shows it.
func (o *TLSOptions) MinVersionName() string { return tlsVersions[o.MinVersion] }

// Required reports whether each client must show a certificate.
func (o *TLSOptions) Required() bool { return o.VerifyMode >= verifyRequire }

func newTLS() TLS { return TLS{Handshakes: 256, HandshakeTimeout: 10 * time.Second} }

func newTLSOptions() TLSOptions { return TLSOptions{KeyFormat: keyPEM, MinVersion: oldestVersion} }

// tlsFlags say whether connections are encrypted.
func (c *Config) tlsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{
			Name: "enable-ssl", Aliases: []string{"Z"}, Category: GroupNetwork,
			Usage:              "TLS on all TCP addresses but those of -l notls:, with the files of -o ssl_chain_cert and ssl_key",
			DisableDefaultText: true,
			Destination:        &c.TLS.Enabled,
		},
		&cli.GenericFlag{
			Name: "tls-handshakes", Category: GroupNetwork,
			Usage: "`HANDSHAKES` of TLS at a time; further clients wait",
			Value: wholeNumber{&c.TLS.Handshakes, 1, 1 << 16},
		},
		&cli.GenericFlag{
			Name: "tls-handshake-timeout", Category: GroupNetwork,
			Usage: "`TIME` for a handshake of TLS, from accept",
			Value: span{&c.TLS.HandshakeTimeout, 100 * time.Millisecond, time.Hour},
		},
	}
}

func (c *Config) validateTLS() error {
	o := &c.Extended.TLS
	switch {
	case !c.TLS.Enabled:
		return nil
	case o.Chain == "":
		return errors.New("-Z, --enable-ssl needs the certificate of the server and its key: -o ssl_chain_cert=FILE,ssl_key=FILE")
	case o.Key == "" && o.KeyFormat == keyDER:
		return errors.New("-o ssl_keyformat=DER needs a key in a file of its own: -o ssl_key=FILE")
	case o.Required() && o.CA == "":
		return fmt.Errorf("-o ssl_verify_mode=%d needs to know who signs the certificates of clients: -o ssl_ca_cert=FILE", o.VerifyMode)
	case c.Engine.Batch.Direct:
		return errors.New("--direct-descriptors can't be used with -Z, --enable-ssl")
	}
	return nil
}

// resolveTLS comes after the addresses are known. It makes the paths absolute. Without a path of its own the key is in the file of the certificates.
func (c *Config) resolveTLS() (err error) {
	o := &c.Extended.TLS
	if c.TLS.Mutual = c.Network.listensMutually(); c.TLS.Mutual && o.CA == "" {
		return errors.New("-l, --listen: mtls: needs to know who signs the certificates of clients: -o ssl_ca_cert=FILE")
	}
	if o.Key == "" {
		o.Key = o.Chain
	}
	for _, path := range []*string{&o.Chain, &o.Key, &o.CA} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("-o ssl_*: %w", err)
		}
	}
	return nil
}

// ExplainTLS logs what was asked of TLS and is not done.
func (c *Config) ExplainTLS(log logFunc) {
	if !c.TLS.Enabled {
		if given := c.Extended.givenForTLS(); len(given) > 0 {
			log(0, "warning: -o %s: without -Z, --enable-ssl there is no TLS", strings.Join(given, ","))
		}
		return
	}
	n := &c.Network
	if n.Unix != "" {
		log(0, "warning: -Z, --enable-ssl: the unix socket is served without TLS")
	}
	if len(n.UDPAddrs) > 0 {
		log(0, "warning: -Z, --enable-ssl: datagrams are not encrypted (-U)")
	}
	if plain := n.handedPlain; len(plain) > 0 {
		log(0, "warning: -Z, --enable-ssl: %s is served without TLS, as by the server that hands over; after a restart it is not", joinAddrs(plain))
	}
}

// givenForTLS are the options of -o that are about TLS, as typed.
func (o *Extended) givenForTLS() (all []string) {
	for _, typed := range o.given {
		if strings.HasPrefix(typed, "ssl_") {
			all = append(all, typed)
		}
	}
	return all
}

// checkHanded compares the sockets that were passed with -Z: what was encrypted must stay so.
func (n *Network) checkHanded(enabled bool) error {
	var encrypted []netip.AddrPort
	n.handedPlain = nil
	for i, label := range n.Labels {
		switch {
		case contract.TLSLabel(label) != 0 && !enabled:
			encrypted = append(encrypted, n.Addrs[i])
		case contract.TLSLabel(label) == 0 && enabled && !n.asksPlain(n.Addrs[i]):
			n.handedPlain = append(n.handedPlain, n.Addrs[i])
		}
	}
	if len(encrypted) > 0 {
		return fmt.Errorf("the server that hands over serves %s over TLS, and -Z, --enable-ssl is missing", joinAddrs(encrypted))
	}
	return nil
}

// asksPlain reports whether -l itself asks for the address without TLS: notls:.
func (n *Network) asksPlain(addr netip.AddrPort) bool {
	return slices.ContainsFunc(n.asked, func(e endpoint) bool {
		return contract.TLSLabel(e.label) == 0 && e.addr.Addr() == addr.Addr() && (e.addr.Port() == 0 || e.addr.Port() == addr.Port())
	})
}

func joinAddrs(addrs []netip.AddrPort) string {
	var texts []string
	for _, addr := range addrs {
		texts = append(texts, addr.String())
	}
	return strings.Join(texts, ", ")
}

// listensMutually reports whether clients of a listener must show a certificate whatever the mode: mtls: of -l.
func (n *Network) listensMutually() bool {
	return slices.ContainsFunc(n.Labels, func(label uint8) bool { return contract.TLSLabel(label) == contract.LabelMutualTLS })
}

// Setters of -o.

func setTLSText(to func(*TLSOptions) *string) func(*Extended, string) error {
	return func(o *Extended, value string) error {
		*to(&o.TLS) = value
		return nil
	}
}

func setTLSSwitch(to func(*TLSOptions) *bool) func(*Extended, string) error {
	return func(o *Extended, _ string) error {
		*to(&o.TLS) = true
		return nil
	}
}

// setKeyFormat takes memcached's numbers, and the names that its help has for them.
func setKeyFormat(o *Extended, value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	switch name := strings.ToUpper(value); {
	case name == "PEM" || err == nil && n == keyPEM:
		o.TLS.KeyFormat = keyPEM
	case name == "DER" || err == nil && n == keyDER:
		o.TLS.KeyFormat = keyDER
	default:
		return errors.New("ssl_keyformat needs 1 or PEM, or 2 or DER")
	}
	return nil
}

func setVerifyMode(o *Extended, value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n > verifyOnce {
		return errors.New("ssl_verify_mode needs 0 (no certificates of clients), 1 (they may be missing), 2 or 3 (they must be there)")
	}
	o.TLS.VerifyMode = int(n)
	return nil
}

func setMinVersion(o *Extended, value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	switch {
	case err != nil || n >= uint64(len(tlsVersions)):
		return errors.New("ssl_min_version needs 2 (TLS 1.2) or 3 (TLS 1.3)")
	case n < oldestVersion:
		return fmt.Errorf("ssl_min_version=%d: TLS 1.0 and 1.1 are not served: 2 is TLS 1.2, 3 is TLS 1.3", n)
	}
	o.TLS.MinVersion = int(n)
	return nil
}
