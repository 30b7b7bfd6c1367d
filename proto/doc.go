// Package proto speaks the memcached protocol: bytes in, replies out. It owns no socket, starts no goroutine and allocates nothing on
// the way of a get or a set.
//
// # The layers
//
//	session   server.go, session.go          which bytes of a connection mean what
//	codec     text*.go, meta*.go, binary.go  parses a request into arguments, renders the result
//	exec      exec*.go                       does what the command says, counts it and tells watchers, for all codecs
//	store     package store                  items, their memory and their index
//
// A request goes down these layers and its result comes up again. A [Server] is what all channels share: the store, the configuration and the
// totals of the counters. A [Worker] serves the connections of one channel, and one goroutine at a time uses it. For every connection it keeps a
// session of fixed size; the bytes that it has not handled stay with the caller, who presents them again with more behind them:
//
//	w.Open(conn, 0)
//	n, next := w.Data(conn, bytes, replies) // n bytes were used
//	w.EndBatch()                            // before the replies leave
//	w.Closed(conn, why)                     // while it still has its descriptor
//
// # Sessions
//
// The first byte of a connection tells its protocol. Between requests a session is in its home: modeLine for text, modeFrame for binary,
// or the mode of either for clients that have to authenticate first (auth.go). A storage command whose value has not arrived puts it in
// modeUpload (the session then holds the item, upload.go), a refused one in modeSwallow, a multiget that must pause between two keys in
// modeKeys, and a command of package admin with a long reply in modeLongReply. Worker.step has the table of modes.
//
// # Codecs
//
// The text codec finds a command in the table commands (text.go); a get of one key and a set that arrived whole are recognised by their
// first four bytes and parsed in one pass (text_get.go, text_store.go). The meta codec reads a line by the table metaFlags (meta.go), and its
// commands stand in meta_commands.go. The binary codec has the table operations (binary.go). Requests in datagrams go through the same codecs
// (datagram.go). Codecs write replies with the functions of reply.go.
//
// A codec takes no lock and counts nothing that a command does. Where protocols differ in what a command does, the difference is a field of
// the arguments that exec takes: see lookup, announced, storing, removal and arithmetic.
//
// gat, for example, is get with an expiry time to set. In text it is a command of its own, in binary an opcode of its own (frameGet), and in
// meta the flag T of mg. The first two call Worker.getAndTouch in place of Worker.get; mg sets lookup.touch.
//
// # To add
//
//   - a command: a row of the table commands or operations, and a function that parses it, calls exec and replies;
//   - a meta flag: a row of metaFlags, the flag's letter in the set of flags that the command's reply goes by (getFlags, setFlags, ...), and what
//     it does in the command;
//   - a statistic of requests: a constant in admin/counters.go, a call of w.tally.Add where exec does what it counts, and a row of the table in
//     admin that shows it.
//
// # What is left unconsumed
//
// Data takes everything that it can. What it leaves when it answers [contract.More] is the beginning of a command line, always shorter than
// [MaxLine], or the beginning of one key of a long multiget, at most 251 bytes, or header, extras and key of a binary request, at most
// 294 bytes. The bytes of a value are moved into the item's memory as they come; no value is ever left over, however large, except a name
// with a password. A long reply that has not ended leaves one byte, and answers [contract.Yield]. A caller that can receive straight into memory
// finds the place with [Worker.UploadBuffer] and reports with [Worker.UploadAdvance]; [contract.Upload] says that it is worth it.
//
// # Unfinished uploads
//
// What unfinished uploads may hold of the store is bounded (unfinished.go). [Worker.Unwanted] names the connections that the caller closes to
// keep that bound.
//
// # Replies
//
// Small values are copied into room that the caller lends ([contract.Replies.Reserve]), from what [store.Store.TryGet] shows without a lock,
// or under the stripe's lock. Larger ones are sent from where they lie ([contract.Replies.Reference]), held by a reference of the store until
// [Worker.Release].
//
// # Samples
//
// One call of Data in 64 is a sample (package latency says which): begin finds out, with a countdown. Either the first request that it answers is timed
// (Worker.afterStep), as one of the class that exec noted (Worker.note), or, with Settings.HotKeys every other time, exec offers the keys of all its
// requests to the worker's sketch of hot keys (package hotkeys). All other requests pay a branch in exec.
//
// # Administration
//
// Statistics, dumps, the crawler, watchers and the list of connections are package admin, which knows neither sessions nor protocols. admin.go
// parses its commands, of the text and the binary protocol, and writes its answers; the end of exec.go tells it what becomes of requests, if
// anybody is interested: clients that watch, or the statistics by prefix. A connection that watches receives lines without having asked:
//
//	for _, conn := range w.Pending() {
//		more = w.Push(conn, replies) || more
//	}
//
// after EndBatch, in every batch and when Engine.Wake says so. Commands begin crawls, page moves and the shrinking of the store;
// [Server.Maintain] does them, in a goroutine of the caller's.
package proto
