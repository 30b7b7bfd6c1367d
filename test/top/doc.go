// Package top is a test of `ringcached-bench top` as a user sees it: in a pseudo-terminal, of which a small emulator makes a screen, before ringcached,
// memcached and servers that mean harm.
package top
