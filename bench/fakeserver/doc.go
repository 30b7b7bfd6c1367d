// Package fakeserver is a small memcached for tests: version, get, set, delete and some statistics. A [Flaw] makes it answer wrongly.
package fakeserver
