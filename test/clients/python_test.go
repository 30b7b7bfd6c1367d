package clients

import (
	"testing"

	"ringcached/internal/servertest"
)

// runPython runs a session in Debian's own Python, for which the libraries are
// installed. -B: leave no compiled modules beside the source.
func runPython(t *testing.T, script string, server *servertest.Server, args ...string) {
	t.Helper()
	host, port := hostPort(t, server)
	runClient(t, "/usr/bin/python3", append([]string{"-B", "python/" + script, host, port}, args...)...)
}

// TestPymemcache: text protocol.
func TestPymemcache(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runPython(t, "pymemcache_session.py", servertest.Start(t, engine))
	})
}

// TestPythonBinaryMemcached: binary protocol, once with no authentication and
// once with SASL PLAIN.
func TestPythonBinaryMemcached(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runPython(t, "binary_memcached_session.py", servertest.Start(t, engine))
		runPython(t, "binary_memcached_session.py", servertest.Start(t, engine, withUsers(t)...), userName, userPassword)
	})
}

// TestDjango: Django's cache over pymemcache and pylibmc.
func TestDjango(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, backend := range []string{"PyMemcacheCache", "PyLibMCCache"} {
			runPython(t, "django_session.py", servertest.Start(t, engine), backend)
		}
	})
}

// TestPylibmc: libmemcached with both protocols, and with SASL PLAIN.
func TestPylibmc(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runPython(t, "pylibmc_session.py", servertest.Start(t, engine))
		runPython(t, "pylibmc_session.py", servertest.Start(t, engine, withUsers(t)...), userName, userPassword)
	})
}
