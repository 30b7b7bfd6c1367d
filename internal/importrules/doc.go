// Package importrules is a test: it fails when a package of the server's module, or
// of the tests', imports what the architecture does not allow. The rules and their reasons are in
// docs/architecture.md; the table of the test is the same in Go.
package importrules
