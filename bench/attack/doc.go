// Package attack puts loads of hostile clients on servers that it starts itself, and measures a polite client beside them.
//
// loads.go has the table of loads, swarm.go the attackers, polite.go the polite client. [Cost] measures what single requests cost a running
// server. Attackers connect to servers on 127.0.0.1 that this process started, and to no others.
package attack
