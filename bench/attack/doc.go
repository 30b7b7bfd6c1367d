// Package attack puts loads of hostile clients to servers that are started here, beside a polite client that is
// measured: docs/attacks.md. [Cost] measures what small requests make a server do.
package attack
