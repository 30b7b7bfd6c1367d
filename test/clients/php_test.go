package clients

import (
	"testing"

	"ringcached/internal/servertest"
)

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
