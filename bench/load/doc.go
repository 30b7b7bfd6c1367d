// Package load makes requests to one memcached server and checks every byte of the replies.
//
// A [Workload] says what clients do: how many connections, how deep a pipeline, which keys, which mix of commands,
// over TCP, UDP or a unix socket, at which rate. It is data; the named ones stand in workloads.json. A [Load] does it
// against one address. Every connection is a session: a state machine that renders requests and checks replies, as its
// protocol's table has them (dialect.go). A load thread opens and drives many of them (driver.go); their bytes move
// through one io_uring (driver_ring.go; it costs least) or through epoll (driver_epoll.go; it runs anywhere).
// [Load.Measure] lets a load run for a slice, and says what it did; between slices it rests, so that several stand
// side by side and one at a time runs. [Run] is one load from start to result.
//
// Without a rate the loop is closed: a connection sends its next group of requests when the last group is answered.
// Latency is therefore that of a busy server at the given concurrency and says nothing about a fixed arrival rate.
//
// With a rate the loop is open (openloop.go): requests arrive at random times, a Poisson process, whatever the server
// does. A request that finds no idle connection waits for one, first come first served, and its latency counts from
// its arrival, so a server that stalls is charged for everything that arrived meanwhile. [OpenLoop] reports the two
// things that spoil such a window: a generator that is late itself, and a rate that is too high.
package load
