// Package config reads ringcached's command line. It registers the flags, brings arguments into one form, as memcached reads them, and makes
// a Config of them, a plain struct, which Validate checks: no command of the program has rules of its own.
package config
