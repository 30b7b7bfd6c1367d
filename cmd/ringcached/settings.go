package main

import (
	"strconv"
	"strings"

	"ringcached/cmd/ringcached/process"
	"ringcached/proto"
)

// settings is what `stats settings` shows of the options.
func (s *service) settings() proto.Settings {
	o, authenticated := s.options, s.users != nil
	return proto.Settings{
		MaxConns:     o.Network.MaxConns,
		TCPPort:      max(o.Network.Port, 0),
		UDPPort:      max(o.Network.UDPPort, 0),
		Interface:    strings.Join(o.Network.Hosts.Value(), ","),
		Evictions:    !o.Memory.NoEvict,
		DomainSocket: o.Network.Unix,
		AccessMask:   strconv.FormatUint(uint64(o.Network.UnixMode), 8),
		Shutdown:     o.Protocol.Shutdown,
		Factor:       o.Memory.Factor,
		ChunkSize:    o.Memory.ItemMin,
		Threads:      o.Engine.Batch.Threads,
		Prefix:       o.Protocol.Delimiter,
		Backlog:      o.Network.Backlog,
		Protocol:     bindingName(o.Protocol.Binding),
		AuthText:     authenticated && o.Protocol.Binding != "binary",
		AuthSASL:     authenticated && o.Protocol.Binding != "ascii",
		ItemMax:      int(o.Memory.ItemMax),
		MemoryFile:   o.Memory.File,
		ClientMemory: o.Memory.ClientMemory,
		MaxConnsFast: o.Extended.RefuseAtLimit,
		IdleTimeout:  o.Extended.IdleTimeout,

		NoCAS:         o.Protocol.NoCAS,
		FlushDisabled: o.Protocol.FlushDisabled,
		DumpDisabled:  o.Protocol.DumpDisabled,
		WatchDisabled: o.Protocol.WatchDisabled,

		SlabReassign:   o.Extended.SlabReassign,
		Crawler:        o.Extended.Crawler,
		CrawlerSleep:   o.Extended.CrawlerSleep,
		CrawlerToCrawl: o.Extended.CrawlerToCrawl,
		TrackSizes:     o.Extended.TrackSizes,
		PrefixDetail:   o.Protocol.Delimiter != "",
		StderrBuffer:   process.LogBuffer,
		WatcherBuffer:  o.Extended.WatcherBuffer << 10,
		WorkerBuffer:   o.Extended.WorkerBuffer << 10,
	}
}

// bindingName is what `stats settings` calls the protocol.
func bindingName(binding string) string {
	if binding == "auto" {
		return "auto-negotiate"
	}
	return binding
}
