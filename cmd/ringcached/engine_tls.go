package main

import (
	"time"

	"ringcached/internal/handshake"
)

// tlsStats reports what belongs in `stats` where there is TLS: memcached's lines, and those of ringcached. It counts as ssl_handshake_errors what ended before
// the handshake was done, and as ssl_proto_errors what was no good record after it.
func (e engineStats) tlsStats(add func(name, value string)) {
	s, now := e.Server.Stats(), e.TLSStats()
	counts := e.tls.sinceReset(now.Handshakes)
	if e.newSessions {
		addAll(add, []counter{{"ssl_new_sessions", counts[handshake.Done]}})
	}
	addAll(add, []counter{
		{"ssl_handshake_errors", counts.Failed()},
		{"ssl_proto_errors", s.TLSBadRecords},
		{"time_since_server_cert_refresh", uint64(max(0, time.Since(e.tls.server.Loaded())/time.Second))},
		{"tls_cert_expires", uint64(max(0, e.tls.server.NotAfter().Unix()))},
		{"tls_connections", s.TLSConns},
		{"tls_kernel_connections", s.TLSKernelConns},
		{"tls_records_in", s.TLSRecordsIn},
		{"tls_records_out", s.TLSRecordsOut},
		{"tls_key_updates", s.TLSKeyUpdates},
		{"tls_handshakes_running", uint64(now.Running)},
		{"tls_handshakes_waiting", uint64(now.Waiting)},
	})
	for outcome, count := range counts {
		addAll(add, []counter{{"tls_handshakes_" + handshake.Outcome(outcome).String(), count}})
	}
}

// ResetStats makes the counts of handshakes begin at 0, too.
func (e engineStats) ResetStats() {
	e.Server.ResetStats()
	if e.tls != nil {
		counts := e.TLSStats().Handshakes
		e.tls.base.Store(&counts)
	}
}

// sinceReset takes off what was counted before the last reset.
func (c *certificates) sinceReset(counts handshake.Counts) handshake.Counts {
	if base := c.base.Load(); base != nil {
		for outcome := range counts {
			counts[outcome] -= base[outcome]
		}
	}
	return counts
}
