// Package admin is what the server says about itself and how it is tuned while it runs: statistics, settings, dumps of keys, the LRU crawler,
// watchers, counts by prefix, the list of connections, and the work in the background.
//
// Package proto imports it and never the other way round. proto parses a command, in text or binary, and calls a method of [Worker]; the
// method writes through [Replies] and returns an [Answer]. So nothing here knows the two protocols, or what a connection is about to send.
//
// # Who calls what
//
// A [Server] is shared; a [Worker] belongs to one worker of proto and is called by its goroutine alone. What workers share they publish at the
// end of a batch ([Worker.EndBatch]): counters into atomics, lines for watchers under one mutex, their part of a connection snapshot.
// [Server.Maintain] runs in a goroutine of its own and does crawls, sweeps, page moves and lower limits in slices.
//
// # Counting and observing
//
// proto counts with [Tally], which is plain memory of one worker, and calls the Observe methods only while [Server.Interest] is not empty. A get
// or set that nobody watches costs an addition and a branch.
//
// # Long replies
//
// A reply that takes long is made in quanta, between which other connections are served (long_reply.go): proto calls [Worker.Continue] again
// and again. Few run at a time (admission.go): a dump beyond that is refused, any other waits. A client that does not read loses its place to
// one that waits.
//
// # How to add a statistic
//
//   - A count of requests: a [Counter] or [ClassCounter] (counters.go), [Tally.Add] where it happens, and a row of generalTable (general.go),
//     in memcached's order if memcached has it.
//   - A number of the store's: a row of generalTable, or of itemsTable or slabsTable for each class (classes.go).
//   - A number of the engine's: the engine gives it to [Engine.Stats] or [Engine.BatchStats] by itself.
//   - A setting: a field of [Settings] and a row of settingsTable (settings.go).
//   - A group, `stats <name>`: a row of groups (stats.go), or a long reply that [Worker.Stats] begins if it may have many lines.
//
// # How to add an event for watchers
//
// An event is an eventKind with a row of eventForms (event.go), which says who reads it and which fields it has, and an Observe method
// (observe.go) that proto calls where it happens. A new kind of watching is an [Interest] and a row of watchKinds (watch.go).
package admin
