// Package record is TLS's record layer for a connection whose handshake is over: it opens the records that come in and seals those that go out, for a server
// that serves many connections from one thread. It knows TLS 1.3 (RFC 8446, section 5) and of TLS 1.2 (RFC 5246) the suites with ECDHE and an AEAD
// (RFC 5288, RFC 5289, RFC 7905).
//
// A State is what a connection keeps: keys, counters and what is half received. It has no pointers, so that it can lie in memory outside the Go heap, and
// its zero value is a connection without TLS. Start fills one from Secrets, which the handshake hands out; see FromTraffic and FromMaster.
//
// Ciphers does the work for all connections of a thread. Expanded keys take four times the memory of a State, so Ciphers keeps those of the connections
// that were busy lately, and expands them again when an idle one wakes. Open takes one record from the front of a buffer and opens it in place; Seal makes
// one record in place of its plaintext, and SealCopy one from pieces that lie elsewhere.
//
// A caller does this:
//
//	plain, used, event := ciphers.Open(slot, state, received)
//	switch event.Kind {
//	case record.EventData: // handle plain, then go on at received[used:]
//	case record.EventNone: // a record without data: go on at received[used:]
//	case record.EventKeyUpdate: // the same; if state.KeyUpdateDue(), AppendKeyUpdate comes before the next Seal
//	case record.EventNeed: // wait until received has event.Need bytes
//	case record.EventClosed: // the peer sends no more: AppendAlert(CloseNotify), then close
//	case record.EventAlert: // the peer gave up, close
//	case record.EventFatal: // AppendAlert(event.Alert), then close
//	case record.EventEnded: // one of the three before was returned already
//	}
//
// Nothing here does I/O, locks, or allocates for a record; a key that is not expanded costs two allocations, once its connection wakes.
package record
