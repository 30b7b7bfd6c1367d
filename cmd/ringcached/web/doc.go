// Package web serves what others see of a server over HTTP: /metrics, /livez, /readyz, /stats.json and the page that shows it. It only reads.
//
// A [Server] (server.go) answers at one listener, about a [Source] that is attached to it while there is one. routes.go has the answers by path; snapshot.go
// asks the source for what the page shows, and package metrics for what Prometheus reads. Package page is the page itself.
//
// # What clients may cost
//
// Nobody who can reach the address may make the cache slow. connections.go bounds how many are connected, and how often each may ask: more wait, and idle
// connections end for them. Four answers are made at a time, with a rest after each, and in memory, so that a client that is slow to take one keeps neither the
// source nor a lock. No request and no answer may take longer than the limits in server.go. What this does not prevent: clients that send no request take all of the
// room for a while, from other clients of this address, and those that connect anew for each request are answered as fast as they come.
package web
