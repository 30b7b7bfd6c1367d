// Package fakeserver is a small memcached for tests of what speaks to servers: version, get, set, delete and some statistics. A [Flaw] makes it
// answer wrongly.
package fakeserver
