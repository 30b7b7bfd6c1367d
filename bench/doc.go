// Package bench puts load on memcached servers, measures what it costs them and compares them.
//
// It has these parts, each usable without those that follow.
//
//   - A [Workload] says what clients do: how many connections, how deep a pipeline, which keys, which mix of commands, over TCP, UDP or
//     a unix socket, at which rate. It is data; the named ones stand in one table.
//   - A [Load] does it against one address. Every connection is a session: a pure state machine that renders requests and checks each
//     byte of the replies. A driver moves the bytes of many sessions, either through one io_uring and one locked thread per load thread
//     (driver_ring*.go; it costs least) or with a goroutine per connection (driver_net*.go; it runs anywhere). [Load.Measure] cuts a
//     measured window out of the running load.
//   - [Compare] starts servers, each alone on its own core, puts the same load on them in interleaved rounds, reads what CPU time and
//     system calls they used, and states ratios with their uncertainty.
//   - [Experiments] makes experiments, which have questions: each varies one thing, such as the length of values, and measures all servers
//     along it in such rounds. experiment_plan.go says what an experiment consists of, experiment_run.go makes it, experiment_result.go sums it
//     up. A figure is given only where every reply was right, no server died, and the load was not the limit.
//   - [Limits] makes such rounds for the workloads that there are targets for, until it can tell whether each is met, and measures what idle
//     connections cost.
//   - [Attack] puts loads of hostile clients to servers and measures a polite client beside them. attack_loads.go has the loads, attack_swarm.go
//     the attackers.
//   - [Regress] says what changed from one result to another beyond noise, and [RegressBuilds] between two builds.
//   - [Replay] puts a recorded trace to a running server; package trace has the format of the file, and makes traces.
//   - [Store] runs experiments that show what the servers' stores are worth: items that fit, hit ratios, pauses, memory. Package evictsim
//     has the traces and simulates eviction policies on them.
//
// A [Report] holds what any of these found; [ReadReport] reads one that was stored, and package htmlreport makes a page of its experiments.
//
// Without a rate the load is closed: a connection sends its next group of requests when the last group is answered. Latency is therefore
// that of a busy server at the given concurrency and says nothing about a fixed arrival rate.
//
// With a rate it is open (openloop.go): requests arrive at random times, a Poisson process, whatever the server does. One that finds no
// idle connection waits for one, first come first served, and latency counts from its arrival, so a server that stalls is charged for
// everything that arrived meanwhile. Two things make such a window say nothing of the server, and are told with it ([OpenLoop]): a
// generator that is late itself, and a rate that is too high for either.
//
// Nothing here knows how a server is made: only addresses, process ids and the text protocol.
package bench
