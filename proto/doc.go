// Package proto speaks the memcached protocol: bytes in, replies out. It owns no socket, starts no goroutine and allocates nothing on
// the way of a get or a set.
//
// # The parts
//
// A [Server] is what all channels share: the store, the configuration and the sum of the counters. A [Worker] serves the connections of
// one channel and is used by one goroutine. For every connection it keeps a session of fixed size; a connection's unparsed bytes belong
// to the caller, who presents them again with more behind them.
//
//	w.Open(conn, 0)
//	n, next := w.Data(conn, bytes, replies) // n bytes were used
//	w.EndBatch()                            // before the replies leave
//	w.Closed(conn, why)                     // while it still has its descriptor
//
// # What is left unconsumed
//
// Data takes everything that it can. What it leaves when it answers [contract.More] is the beginning of a command line, always shorter than
// [MaxLine], or the beginning of one key of a long multiget, at most 251 bytes, or header, extras and key of a binary request, at most
// 294 bytes. The bytes of a value are moved into the item's memory as they come; no value is ever left over, however large, but a name
// with a password. A dump that has not ended leaves one byte, and answers [contract.Yield]. A caller that can receive straight into memory finds
// the place with [Worker.UploadBuffer] and reports with [Worker.UploadAdvance]; [contract.Upload] says that it is worth it.
//
// # Sessions are modes
//
// The first byte of a connection tells its protocol. Between requests a session is in its home: modeLine for text, modeFrame for binary,
// or the mode of either for clients that have to authenticate first (auth.go, binary_auth.go). A storage command whose value has not
// arrived puts it in modeUpload (the session then holds the item), a refused one in modeSwallow, a multiget that must pause between two
// keys in modeKeys, a command with a long reply in modeLongReply (package admin). A new protocol is a new mode, a new command a row in a
// table: text.go for commands, meta.go for the flags of the meta commands, binary.go for opcodes.
//
// All protocols share what is done: put for what comes with a value (put.go), count for numbers (arith.go). They differ in how they
// are asked and how they reply.
//
// # Work in the background
//
// Commands begin crawls, page moves and the shrinking of the store. [Server.Maintain] does them, in a goroutine of the caller's.
//
// # Administration
//
// Statistics, dumps, the crawler, watchers and the list of connections are package admin, which knows neither sessions nor protocols. admin.go
// and binary_admin.go parse its commands and write its answers.
//
// # Watchers
//
// proto calls package admin where keys are looked up, stored and deleted (observe.go), if anybody wants to know: clients that watch, or the
// statistics by prefix. A connection that watches receives lines without having asked:
//
//	for _, conn := range w.Pending() {
//		more = w.Push(conn, replies) || more
//	}
//
// after EndBatch, in every batch and when Engine.Wake says so.
//
// # Values on their way
//
// What they may hold of the store is bounded (unfinished.go). [Worker.Unwanted] names the connections that have to go for it.
//
// # Replies
//
// Small values are copied, under the stripe's lock, into room that the caller lends ([contract.Replies.Reserve]); larger ones are sent from
// where they lie ([contract.Replies.Reference]), held by a reference of the store until [Worker.Release].
package proto
