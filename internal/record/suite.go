package record

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// Sizes of TLS, in bytes.
const (
	MaxPlain     = 16384                      // the most plaintext that one record has
	HeaderLen    = 5                          // type, version and length in front of every record
	MaxRecord    = HeaderLen + MaxPlain + 256 // the longest record that Open takes, with its header
	MaxOverhead  = HeaderLen + 8 + tagLen     // the most that a record is longer than its plaintext: TLS 1.2 with AES-GCM
	AlertLen     = MaxOverhead + 2            // room enough for AppendAlert
	KeyUpdateLen = HeaderLen + 5 + 1 + tagLen // what AppendKeyUpdate appends
)

const (
	tagLen    = 16
	ivLen     = 12
	secretMax = 48
	keyMax    = 32
)

// suite is the cipher of a suite, and with it the hash. The zero value is none.
type suite uint8

const (
	noSuite suite = iota
	aes128
	aes256
	chacha
)

// keyLen is the length of the suite's keys, in bytes.
func (s suite) keyLen() int {
	if s == aes128 {
		return 16
	}
	return keyMax
}

// hash is the hash that the suite derives keys with, of either version.
func (s suite) hash() hash {
	if s == aes256 {
		return sha384Hash
	}
	return sha256Hash
}

// ids are the numbers that IANA gave the suites: of TLS 1.3, and of TLS 1.2 with an RSA and an ECDSA certificate.
var ids = [chacha + 1][3]uint16{
	aes128: {tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	aes256: {tls.TLS_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	chacha: {tls.TLS_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
}

// suiteOf is the suite with the number that IANA gave it, in a version; an error if this package does not know it.
func suiteOf(version, id uint16) (suite, error) {
	switch {
	case version != tls.VersionTLS12 && version != tls.VersionTLS13:
		return noSuite, fmt.Errorf("record: version %#04x: only TLS 1.2 and 1.3 are known", version)
	case (id>>8 == 0x13) != (version == tls.VersionTLS13):
		return noSuite, fmt.Errorf("record: %s is not a suite of %s", tls.CipherSuiteName(id), tls.VersionName(version))
	}
	for s := aes128; s <= chacha; s++ {
		if slices.Contains(ids[s][:], id) {
			return s, nil
		}
	}
	return noSuite, fmt.Errorf("record: the suite %s is not known", tls.CipherSuiteName(id))
}
