// Package prefetch has the processor's prefetch instruction, which Go does not offer: a load into the cache that nobody waits for. A prefetch
// of an address that is not mapped does nothing. On processors other than amd64 the functions do nothing.
package prefetch
