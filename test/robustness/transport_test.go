package robustness

import (
	"crypto/tls"
	"testing"

	"ringcached/internal/servertest"
)

// transport is an engine, and how clients speak to it.
type transport struct {
	engine      string
	certificate *servertest.Certificate // nil: they do not speak TLS
	version     uint16                  // of TLS
}

// eachTransport runs a test with each engine, plain and over TLS: 1.2 with epoll and 1.3 with uring, since what opens and seals records is the same in both.
// With the race detector plain only.
func eachTransport(t *testing.T, test func(t *testing.T, on transport)) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Run("plain", func(t *testing.T) { test(t, transport{engine: engine}) })
		if !servertest.Race {
			runTLS(t, engine, versionWith(engine), test)
		}
	})
}

// eachTLS is eachTransport over TLS only.
func eachTLS(t *testing.T, test func(t *testing.T, on transport)) {
	servertest.EachEngine(t, func(t *testing.T, engine string) { runTLS(t, engine, versionWith(engine), test) })
}

// eachEngineOverTLS runs a test with each engine over a version of TLS.
func eachEngineOverTLS(t *testing.T, version uint16, test func(t *testing.T, on transport)) {
	servertest.EachEngine(t, func(t *testing.T, engine string) { runTLS(t, engine, version, test) })
}

func versionWith(engine string) uint16 {
	if engine == "epoll" {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

// runTLS runs a test over a version of TLS. With the race detector, which makes that slow, only uring has it; package batch has its tests of TLS with both engines there, too. What
// is above the engine does not depend on the kernel's features.
func runTLS(t *testing.T, engine string, version uint16, test func(t *testing.T, on transport)) {
	if servertest.Race && engine == "epoll" || servertest.Features() != "" {
		return
	}
	t.Run(tls.VersionName(version), func(t *testing.T) {
		test(t, transport{engine, servertest.NewCertificate(t, "ringcached"), version})
	})
}

func (on transport) start(t *testing.T, flags ...string) *servertest.Server {
	t.Helper()
	return on.reach(servertest.Start(t, on.engine, on.flags(flags)...))
}

func (on transport) startLimited(t *testing.T, files int, flags ...string) *servertest.Server {
	t.Helper()
	return on.reach(servertest.StartLimited(t, on.engine, files, on.flags(flags)...))
}

func (on transport) flags(flags []string) []string {
	if on.certificate == nil {
		return flags
	}
	return on.certificate.Flags(flags...)
}

// reach has the clients of server speak what the transport says. Sessions are resumed.
func (on transport) reach(server *servertest.Server) *servertest.Server {
	if on.certificate != nil {
		server.TLS = on.certificate.Client(false)
		server.TLS.MinVersion, server.TLS.MaxVersion = on.version, on.version
		server.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return server
}
