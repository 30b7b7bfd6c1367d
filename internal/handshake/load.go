package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// minRSA is the shortest RSA key, in bits: what OpenSSL takes at Debian's security level.
const minRSA = 2048

// load reads the server's certificates and key. An error names the file and says what is wrong with it.
func load(c Config, now time.Time) (tls.Certificate, error) {
	var none tls.Certificate
	if c.Files.Chain == "" {
		return none, errors.New("ssl_chain_cert names no file: TLS needs a certificate")
	}
	chain, parsed, err := readCertificates("certificate", c.Files.Chain)
	if err != nil {
		return none, err
	}
	leaf := parsed[0]
	if err := inTime(leaf, now); err != nil {
		return none, fmt.Errorf("certificate %s: %w", c.Files.Chain, err)
	}
	keyFile := c.Files.Key
	if keyFile == "" {
		keyFile = c.Files.Chain
	}
	data, err := os.ReadFile(keyFile)
	if err != nil {
		return none, fmt.Errorf("key %s: %w", keyFile, plainly(err))
	}
	key, err := parseKey(data, c.KeyFormat)
	clear(data)
	if err != nil {
		return none, fmt.Errorf("key %s: %w", keyFile, err)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return none, fmt.Errorf("key %s: it is not that of the certificate in %s", keyFile, c.Files.Chain)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// loadCA reads who may sign clients' certificates. Without a file nobody may: crypto/tls would take the system's roots for no pool at all.
func loadCA(file string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if file == "" {
		return pool, nil
	}
	_, parsed, err := readCertificates("CA certificate", file)
	if err != nil {
		return nil, err
	}
	for _, certificate := range parsed {
		pool.AddCert(certificate)
	}
	return pool, nil
}

// readCertificates reads all certificates of a PEM file, of which there is one at least. Other blocks, such as a key, are passed over.
func readCertificates(what, file string) (raw [][]byte, parsed []*x509.Certificate, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", what, file, plainly(err))
	}
	defer clear(data) // there may be a key in it
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			clear(block.Bytes)
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%s %s: number %d in it: %w", what, file, len(raw)+1, err)
		}
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
			return nil, nil, fmt.Errorf("%s %s: number %d in it has an RSA key of %d bits: %d is the least", what, file, len(raw)+1, key.N.BitLen(), minRSA)
		}
		raw = append(raw, block.Bytes)
		parsed = append(parsed, certificate)
	}
	if raw == nil {
		return nil, nil, fmt.Errorf("%s %s: there is no certificate in PEM in it", what, file)
	}
	return raw, parsed, nil
}

// inTime says whether a certificate is valid now.
func inTime(certificate *x509.Certificate, now time.Time) error {
	if now.After(certificate.NotAfter) {
		return fmt.Errorf("it expired at %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	if now.Before(certificate.NotBefore) {
		return fmt.Errorf("it is not valid before %s", certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// parseKey reads a private key. What it decodes on the way is cleared.
func parseKey(data []byte, format KeyFormat) (crypto.Signer, error) {
	if format == FormatDER {
		if block, _ := pem.Decode(data); block != nil {
			clear(block.Bytes)
			return nil, errors.New("it is PEM, and ssl_keyformat says DER")
		}
		return parseDER(data)
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("there is no private key in PEM in it")
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, errors.New("it is encrypted: nobody is there to enter a passphrase, so it has to lie there decrypted")
		case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY", block.Type == "EC PRIVATE KEY":
			defer clear(block.Bytes)
			return parseDER(block.Bytes)
		}
	}
}

// parseDER reads a key in any of the three encodings that there are.
func parseDER(der []byte) (crypto.Signer, error) {
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if rsaKey, rsaErr := x509.ParsePKCS1PrivateKey(der); rsaErr == nil {
			key, err = rsaKey, nil
		} else if ecKey, ecErr := x509.ParseECPrivateKey(der); ecErr == nil {
			key, err = ecKey, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("it can't be read as a private key: %w", err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSA {
			return nil, fmt.Errorf("an RSA key of %d bits: %d is the least", key.N.BitLen(), minRSA)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P224() {
			return nil, errors.New("an ECDSA key on the curve P-224, which TLS has no signatures for: P-256 is what most have")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("a key of this kind can't sign: RSA, ECDSA and Ed25519 can")
}

// plainly leaves out the operation and the file, which the caller names.
func plainly(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
