package main

import (
	"strconv"
	"strings"

	"ringcached/proto"
)

// settings is what `stats settings` shows of the options.
func (s *service) settings() proto.Settings {
	o, authenticated := s.options, s.users != nil
	return proto.Settings{
		MaxConns:     o.listen.maxConns,
		TCPPort:      max(o.listen.port, 0),
		UDPPort:      max(o.listen.udpPort, 0),
		Interface:    strings.Join(o.listen.hosts.Value(), ","),
		Evictions:    !o.memory.noEvict,
		DomainSocket: o.listen.unix,
		AccessMask:   strconv.FormatUint(uint64(o.listen.unixMode), 8),
		Shutdown:     o.protocol.shutdown,
		Factor:       o.memory.factor,
		ChunkSize:    o.memory.itemMin,
		Threads:      o.engine.batch.Threads,
		Prefix:       o.protocol.delimiter,
		Backlog:      o.listen.backlog,
		Protocol:     bindingName(o.protocol.binding),
		AuthText:     authenticated && o.protocol.binding != "binary",
		AuthSASL:     authenticated && o.protocol.binding != "ascii",
		ItemMax:      int(o.memory.itemMax),
		MemoryFile:   o.memory.file,
		ClientMemory: o.memory.clients,
		MaxConnsFast: o.extended.refuse,
		IdleTimeout:  o.extended.idleTimeout,

		NoCAS:         o.protocol.noCAS,
		FlushDisabled: o.protocol.flushDisabled,
		DumpDisabled:  o.protocol.dumpDisabled,
		WatchDisabled: o.protocol.watchless,

		SlabReassign:   o.extended.reassign,
		Crawler:        o.extended.crawler,
		CrawlerSleep:   o.extended.crawlerSleep,
		CrawlerToCrawl: o.extended.crawlerToCrawl,
		TrackSizes:     o.extended.trackSizes,
		PrefixDetail:   o.protocol.delimiter != "",
		StderrBuffer:   logRoom,
		WatcherBuffer:  o.extended.watcherBuffer << 10,
		WorkerBuffer:   o.extended.workerBuffer << 10,
	}
}

// bindingName is what `stats settings` calls the protocol.
func bindingName(binding string) string {
	if binding == "auto" {
		return "auto-negotiate"
	}
	return binding
}
