// Package handshake does the server's side of TLS handshakes, with crypto/tls, and hands over the secrets with which package record opens
// and seals what follows.
//
//	server, err := handshake.New(handshake.Config{Files: handshake.Files{Chain: "chain.pem", Key: "key.pem"}})
//	...
//	result, err := server.Do(conn, time.Now().Add(10*time.Second), handshake.PeerByMode)
//	defer result.Secrets.Zero()
//	if err != nil {
//		... // the client has its alert: end the sending half, discard what comes for a moment, close
//	}
//
// crypto/tls reads the connection through a buffer that shows it one record at a time. So it never holds a byte that came after the client's
// Finished; what the buffer holds by then is the result's Leftover, to be opened like anything that is read later. The writer's side counts
// the records under the last keys: a session ticket of TLS 1.3 is one of them, and so is the Finished of TLS 1.2.
//
// The secrets come from crypto/tls's key log, a writer of this package for each connection, which keeps the last ones in memory and clears
// the line that it was given. There is no such line when a session of TLS 1.2 is resumed, so its master secret also stands, sealed, in the
// ticket. Copies that crypto/tls makes for itself are left to the garbage collector.
//
// # What is offered
//
// TLS 1.2 and 1.3 with the suites of [Suites]: those with authenticated encryption and forward secrecy. No early data, no application
// protocols (ALPN), no renegotiation. The order of suites is crypto/tls's: AES first where both sides have instructions for it.
//
// # Resumption
//
// A client may resume a session by a ticket, as with memcached, whether ssl_session_cache is given or not. Tickets are sealed with keys
// that live in the server's memory only, change every day, and are good for seven. They outlast a Refresh: whether a client's certificate is
// still good is asked of the CA file as it is then. A session that began without a client certificate is not resumed where one is required:
// the client goes through a whole handshake. After a restart tickets are of no use, which costs clients a whole handshake each.
//
// # Client certificates
//
// What a client gets, by ssl_verify_mode, is what memcached 1.6.18 does:
//
//	mode                 no certificate             a bad one        a good one
//	0, none              served                     not asked for    not asked for
//	1, request           served                     refused          served
//	2, require           refused                    refused          served
//	3, once              as 2: it differs by renegotiation, which neither server allows
//	listener mtls:       as 2
//	listener btls:       as 0
//
// A bad certificate is one that no CA of ssl_ca_cert has signed, that is not for clients, not yet or no more valid, or whose key the client
// has not got. Without ssl_ca_cert all are bad. memcached refuses to resume a session in modes 1 to 3 without ssl_session_cache, by an alert; here it is resumed.
package handshake
