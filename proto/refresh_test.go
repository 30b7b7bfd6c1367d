package proto_test

import (
	"errors"
	"strings"
	"testing"

	"ringcached/proto"
)

// TestRefreshCertificates: the command says what came of it, an error in one line, and counts are shown where memcached shows them.
func TestRefreshCertificates(t *testing.T) {
	var refreshed int
	var err error
	w := newWorker(t, nil, func(c *proto.Config) {
		c.RefreshCertificates = func() error { refreshed++; return err }
		c.Settings.TLS = proto.TLSSettings{
			Enabled: true, Chain: "/c.pem", Key: "/k.der", CA: "/ca.pem", Ciphers: "HIGH", VerifyFlags: 7, KeyFormat: 2,
			MinVersion: "tlsv1.3", SessionCache: true, KernelTLS: true,
		}
	})
	w.wantReply("refresh_certs\r\n", "OK\r\n")
	w.wantReply("refresh_certs noreply\r\nrefresh_certs now then\r\n", "OK\r\n")
	err = errors.New("can't read\r\nkey:\x00 " + strings.Repeat("x", 5000))
	w.wantReply("refresh_certs noreply\r\nmn\r\n", "Error can't read  key:  "+strings.Repeat("x", 5000)+"\r\nMN\r\n")
	if refreshed != 4 {
		t.Errorf("refreshed %d times", refreshed)
	}
	if got := w.ask("stats settings\r\n"); !strings.Contains(got, "\r\nSTAT ssl_enabled yes\r\nSTAT ssl_chain_cert /c.pem\r\nSTAT ssl_key /k.der\r\nSTAT ssl_verify_mode 7\r\n"+
		"STAT ssl_keyformat 2\r\nSTAT ssl_ciphers HIGH\r\nSTAT ssl_ca_cert /ca.pem\r\nSTAT ssl_wbuf_size 0\r\nSTAT ssl_session_cache yes\r\nSTAT ssl_kernel_tls yes\r\n"+
		"STAT ssl_min_version tlsv1.3\r\nSTAT proxy_enabled no\r\n") {
		t.Errorf("settings: %s", got)
	}
	w.server.SetEngine(&engine{})
	if got := w.ask("stats\r\n"); strings.Contains(got, "ssl_") || strings.Contains(got, "cert_refresh") {
		t.Errorf("an engine without TLS: %s", got)
	}
	w.server.SetEngine(&encrypting{})
	if got := w.ask("stats\r\n"); !strings.Contains(got, "STAT log_watchers 0\r\nSTAT ssl_handshake_errors 1\r\nSTAT ssl_proto_errors 2\r\nSTAT time_since_server_cert_refresh 3\r\nSTAT unexpected_napi_ids") {
		t.Errorf("not where they belong: %s", got)
	}
}

// encrypting is an engine with TLS.
type encrypting struct{ engine }

func (e *encrypting) Stats(add func(name, value string)) {
	add("time_since_server_cert_refresh", "3")
	add("ssl_proto_errors", "2")
	add("ssl_handshake_errors", "1")
	e.engine.Stats(add)
}
