package main

import (
	"testing"

	"ringcached/internal/servertest"
)

// withCertificate are the flags of TLS, with a certificate of its own.
func withCertificate(t *testing.T) []string {
	c := servertest.NewCertificate(t, "server")
	return []string{"-Z", "-o", "ssl_chain_cert=" + c.Chain + ",ssl_key=" + c.Key}
}
