// Package docrules is a test: it fails when docs/architecture.md names a function that is gone, or when the way of a get has become longer
// than what a reader can follow.
package docrules
