// Package robustness has no code but tests: what the server does when clients
// die, half-close, never read, come in thousands or take every buffer and
// descriptor. It must go on serving, give back every descriptor, buffer and item,
// and say in a counter what happened. The server is the real binary, looked at
// from outside: through the protocol and through /proc.
package robustness
