package main

import (
	"fmt"
	"strconv"

	"ringcached/batch"
	"ringcached/cmd/ringcached/process"
	"ringcached/proto"
)

// engineStats shows what package batch counts under the names that clients of
// `stats` and `stats batch` read.
type engineStats struct {
	*batch.Server
	idleTimeout bool // there is one, so that idle_kicks is shown
	lines       *process.Logger
	tls         *certificates // nil: no TLS
	newSessions bool          // -o ssl_session_cache, so that ssl_new_sessions is shown
}

var _ proto.Engine = engineStats{}

// counter is a row of statistics.
type counter struct {
	name  string
	value uint64
}

func addAll(add func(name, value string), rows []counter) {
	for _, row := range rows {
		add(row.name, strconv.FormatUint(row.value, 10))
	}
}

// Stats reports memcached's names. Accepting stops while descriptors or memory are lacking, and, with -o no_maxconns_fast, while there are -c
// connections.
func (e engineStats) Stats(add func(name, value string)) {
	s := e.Server.Stats()
	addAll(add, []counter{
		{"max_connections", s.MaxConns},
		{"curr_connections", s.Conns},
		{"total_connections", s.Accepted},
		{"rejected_connections", s.Rejected},
		{"connection_structures", s.Conns},
		{"bytes_read", s.BytesRead},
		{"bytes_written", s.BytesWritten},
		{"accepting_conns", accepting(s.Paused)},
		{"listen_disabled_num", s.AcceptBackoffs},
		{"time_in_listen_disabled_us", s.AcceptPausedUsec},
		{"threads", uint64(e.Threads())},
	})
	if e.idleTimeout {
		addAll(add, []counter{{"idle_kicks", s.IdleKicks}})
	}
	addAll(add, []counter{{"log_stderr_dropped", e.lines.Dropped.Load()}})
	if e.tls != nil {
		e.tlsStats(add)
	}
	add("libevent", e.Engine().Engine) // where memcached names its event library
	add("ringcached_version", version)
}

// accepting is 1 unless some channel does not accept.
func accepting(paused uint64) uint64 {
	if paused > 0 {
		return 0
	}
	return 1
}

// BatchStats reports what batching achieved, and what the engine holds now.
func (e engineStats) BatchStats(add func(name, value string)) {
	s, choice := e.Server.Stats(), e.Engine()
	add("engine", choice.Engine)
	add("features", choice.Features.String())
	addAll(add, []counter{
		{"batches", s.Batches},
		{"enters", s.Enters},
		{"syscalls", s.Syscalls},
		{"sqes", s.SQEs},
		{"cqes", s.CQEs},
		{"sends", s.Sends},
		{"receives", s.Receives},
		{"bytes_filled", s.BytesUploaded},
	})
	addHistogram(add, "sqes_per_enter", s.SubmitSizes)
	addHistogram(add, "cqes_per_batch", s.ReapSizes)
	addHistogram(add, "bytes_per_send", s.SendSizes)
	addAll(add, []counter{
		{"buffers_total", s.BuffersTotal},
		{"buffers_out", s.BuffersOut},
		{"enobufs", s.NoBuffers},
		{"rearms", s.Rearms},
		{"cq_overflows", s.Overflows},
		{"cqes_lost", s.LostCQEs},
		{"short_sends", s.ShortSends},
		{"zc_sends", s.ZeroCopySends},
		{"zc_copied", s.ZeroCopyCopied},
		{"send_timeouts", s.SendTimeouts},
		{"idle_kicks", s.IdleKicks},
		{"datagrams_dropped", s.DatagramsDropped},
		{"accept_errors", s.AcceptErrors},
		{"accept_backoffs", s.AcceptBackoffs},
		{"conns_rejected", s.Rejected},
		{"conns_passed_on", s.Passed},
		{"conns_per_thread_least", s.LeastConns},
		{"conns_per_thread_most", s.MostConns},
		{"backlog_bytes", s.SendQueueBytes},
		{"stash_bytes", s.InputBufferBytes},
		{"conns_parked", s.Parked},
		{"client_memory_bytes", s.ClientMemory},
		{"client_memory_limit", s.ClientMemoryLimit},
		{"client_memory_closed", s.ClientsClosed},
		{"client_memory_failed", s.ClientsLacking},
	})
}

// addHistogram shows the buckets that are not empty, each named after the
// largest value in it: name_16 counts the values from 9 to 16.
func addHistogram(add func(name, value string), name string, h batch.Histogram) {
	for i, count := range h {
		if count == 0 {
			continue
		}
		label := fmt.Sprintf("%s_%d", name, 1<<i)
		if i == len(h)-1 {
			label = fmt.Sprintf("%s_more", name)
		}
		add(label, strconv.FormatUint(count, 10))
	}
}
