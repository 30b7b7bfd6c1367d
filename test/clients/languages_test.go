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

// runPHP runs a session in PHP with the extensions that Debian has for it.
func runPHP(t *testing.T, script string, server *servertest.Server, args ...string) {
	t.Helper()
	host, port := hostPort(t, server)
	runClient(t, "php", append([]string{"php/" + script, host, port}, args...)...)
}

// TestPHPMemcache: PECL memcache, text protocol.
func TestPHPMemcache(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runPHP(t, "memcache_session.php", servertest.Start(t, engine))
	})
}

// TestPHPMemcached: PECL memcached, which is libmemcached, with both protocols.
func TestPHPMemcached(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, protocol := range []string{"text", "binary"} {
			runPHP(t, "memcached_session.php", servertest.Start(t, engine), protocol)
		}
	})
}

// runNode runs a session in Node.js. scripts/install-test-deps has put the
// packages of package-lock.json into node_modules.
func runNode(t *testing.T, script string, server *servertest.Server, args ...string) {
	t.Helper()
	host, port := hostPort(t, server)
	runClient(t, "node", append([]string{"node/" + script, host, port}, args...)...)
}

// TestMemjs: binary protocol, once with no authentication and once with SASL PLAIN.
func TestMemjs(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runNode(t, "memjs_session.js", servertest.Start(t, engine))
		runNode(t, "memjs_session.js", servertest.Start(t, engine, withUsers(t)...), userName, userPassword)
	})
}

// TestNodeMemcached: the npm package memcached, text protocol.
func TestNodeMemcached(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runNode(t, "memcached_session.js", servertest.Start(t, engine))
	})
}
