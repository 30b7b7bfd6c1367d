package clients

import (
	"testing"

	"ringcached/internal/servertest"
)

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
