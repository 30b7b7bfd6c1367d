package main

import (
	"strconv"
	"strings"

	"ringcached/cmd/ringcached/process"
	"ringcached/proto"
)

// settings is what `stats settings` shows of the options.
func (s *service) settings() proto.Settings {
	c, authenticated := s.config, s.users != nil
	return proto.Settings{
		MaxConns:     c.Network.MaxConns,
		TCPPort:      max(c.Network.Port, 0),
		UDPPort:      max(c.Network.UDPPort, 0),
		Interface:    strings.Join(c.Network.Hosts.Value(), ","),
		Evictions:    !c.Memory.NoEvict,
		DomainSocket: c.Network.Unix,
		AccessMask:   strconv.FormatUint(uint64(c.Network.UnixMode), 8),
		Shutdown:     c.Protocol.Shutdown,
		Factor:       c.Memory.Factor,
		ChunkSize:    c.Memory.ItemMin,
		Threads:      c.Engine.Batch.Threads,
		ThreadsFrom:  c.Engine.ThreadsFrom(),
		Prefix:       c.Protocol.Delimiter,
		Backlog:      c.Network.Backlog,
		Protocol:     bindingName(c.Protocol.Binding),
		AuthText:     authenticated && c.Protocol.Binding != "binary",
		AuthSASL:     authenticated && c.Protocol.Binding != "ascii",
		ItemMax:      int(c.Memory.ItemMax),
		MemoryFile:   c.Memory.File,
		ClientMemory: c.Memory.ClientMemory,
		MaxConnsFast: c.Extended.RefuseAtLimit,
		IdleTimeout:  c.Extended.IdleTimeout,

		TLS: s.tlsSettings(),

		NoCAS:         c.Protocol.NoCAS,
		FlushDisabled: c.Protocol.FlushDisabled,
		DumpDisabled:  c.Protocol.DumpDisabled,
		WatchDisabled: c.Protocol.WatchDisabled,

		SlabReassign:   c.Extended.SlabReassign,
		Crawler:        c.Extended.Crawler,
		CrawlerSleep:   c.Extended.CrawlerSleep,
		CrawlerToCrawl: c.Extended.CrawlerToCrawl,
		TrackSizes:     c.Extended.TrackSizes,
		HotKeys:        c.Monitoring.HotKeys,
		PrefixDetail:   c.Protocol.Delimiter != "",
		StderrBuffer:   process.LogBuffer,
		WatcherBuffer:  c.Extended.WatcherBuffer << 10,
		WorkerBuffer:   c.Extended.WorkerBuffer << 10,
	}
}

// bindingName is what `stats settings` calls the protocol.
func bindingName(binding string) string {
	if binding == "auto" {
		return "auto-negotiate"
	}
	return binding
}
