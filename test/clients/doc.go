// Package clients has no code but tests: the client libraries and tools that
// people use each hold a session with the real server, in both engines. A session
// goes through all that the client can do, and looks at every answer as the
// client understands it.
//
// Clients in Go are called from here; those in Python, PHP, JavaScript and C are
// programs in python, php, node and from the distribution. scripts/install-test-deps
// installs what they need; one that is missing is a failure.
package clients
