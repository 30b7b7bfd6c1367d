package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"
)

// again lets one client connect, and talk, which brings it its ticket.
func again(t *testing.T, server *Server, peer Peer, client *tls.Config, wanted Outcome) Result {
	t.Helper()
	e := meet(t, server, peer, client, !wanted.OK())
	if e.Outcome != wanted {
		t.Fatalf("%v, not %v; server: %v; client: %v", e.Outcome, wanted, e.err, e.clientErr)
	}
	result := e.Result
	if wanted.OK() {
		if e.clientErr != nil {
			t.Fatal(e.clientErr)
		}
		talk(t, &e)
	}
	result.Secrets.Zero()
	return result
}

// returning is a client that keeps sessions.
func (s *site) returning(version uint16) *tls.Config {
	client := s.clientConfig()
	client.MinVersion, client.MaxVersion = version, version
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return client
}

func TestResumption(t *testing.T) {
	for _, version := range versions {
		t.Run(VersionName(version), func(t *testing.T) {
			site := newSite(t, "rsa")
			server := site.server(t)
			client := site.returning(version)
			again(t, server, PeerByMode, client, Done)
			for range 3 {
				again(t, server, PeerByMode, client, Resumed)
			}

			// New files, and the old ones with a ticket of before.
			if err := server.Refresh(); err != nil {
				t.Fatal(err)
			}
			again(t, server, PeerByMode, client, Resumed)

			// Another server has other keys.
			again(t, site.server(t), PeerByMode, client, Done)

			site.config.NoTickets = true
			server = site.server(t)
			again(t, server, PeerByMode, client, Done)
			again(t, server, PeerByMode, client, Done)
		})
	}
}

// TestTicketsGoBad: they are good for a week.
func TestTicketsGoBad(t *testing.T) {
	for _, version := range versions {
		site := newSite(t, "ecdsa")
		clock := now
		server, err := newServer(site.config, func() time.Time { return clock })
		if err != nil {
			t.Fatal(err)
		}
		client := site.returning(version)
		again(t, server, PeerByMode, client, Done)
		clock = now.Add(6 * 24 * time.Hour)
		again(t, server, PeerByMode, client, Resumed)
		clock = clock.Add(8 * 24 * time.Hour)
		again(t, server, PeerByMode, client, Done)
	}
}

func TestResumptionChecksCertificates(t *testing.T) {
	for _, version := range versions {
		t.Run(VersionName(version), func(t *testing.T) {
			site := newSite(t, "ecdsa")
			site.config.Mutual = true
			clock := now
			server, err := newServer(site.config, func() time.Time { return clock })
			if err != nil {
				t.Fatal(err)
			}

			// A session without a certificate does not open a listener that requires one.
			client := site.returning(version)
			again(t, server, PeerByMode, client, Done)
			again(t, server, PeerRequired, client, NoCertificate)

			// One with a certificate goes on, with its name.
			client = site.returning(version)
			client.Certificates = site.client.forClient()
			again(t, server, PeerRequired, client, Done)
			if r := again(t, server, PeerRequired, client, Resumed); r.Client != "client" {
				t.Errorf("the name of the client is %q after resumption", r.Client)
			}
			again(t, server, PeerNone, client, Done)

			// The certificate expires, which the client does not see.
			client = site.returning(version)
			client.Certificates = issue(t, "ecdsa", "client", site.ca, func(c *x509.Certificate) { c.NotAfter = now.Add(time.Hour) }).forClient()
			again(t, server, PeerRequired, client, Done)
			clock = now.Add(2 * time.Hour)
			again(t, server, PeerRequired, client, BadCertificate)
			clock = now

			// Its CA is not trusted any more.
			client = site.returning(version)
			client.Certificates = site.client.forClient()
			again(t, server, PeerRequired, client, Done)
			if err := os.WriteFile(site.config.Files.CA, issue(t, "ecdsa", "ca", nil, nil).pem(), 0o600); err != nil {
				t.Fatal(err)
			}
			again(t, server, PeerRequired, client, Resumed)
			if err := server.Refresh(); err != nil {
				t.Fatal(err)
			}
			again(t, server, PeerRequired, client, BadCertificate)
		})
	}
}

// TestLongTicket: a ticket has the client's certificate in it, and may take several records.
func TestLongTicket(t *testing.T) {
	site := newSite(t, "ecdsa")
	site.config.VerifyMode = VerifyRequire
	server := site.server(t)
	for _, size := range []int{100, 7000, 20000} {
		client := site.returning(tls.VersionTLS13)
		client.Certificates = issue(t, "ecdsa", "client", site.ca, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, longExtension(size))
		}).forClient()
		first := meet(t, server, PeerByMode, client, false)
		if first.err != nil || first.clientErr != nil {
			t.Fatalf("server: %v; client: %v", first.err, first.clientErr)
		}
		if sealed := first.Secrets.OutSeq; sealed != 1+uint64(size/16384) {
			t.Errorf("%d bytes: %d records before the first", size, sealed)
		}
		talk(t, &first)
		again(t, server, PeerByMode, client, Resumed)
	}
}
