package web

import (
	"strconv"
	"time"

	"ringcached/batch"
	"ringcached/cmd/ringcached/web/page"
	"ringcached/proto/admin"
	"ringcached/proto/latency"
)

// hotKeysMost is how many keys the page shows.
const hotKeysMost = 20

// snapshot asks the source for what the page shows. s.mu is locked for reading.
func (s *Server) snapshot(elapsed time.Duration) *page.Snapshot {
	shot := &page.Snapshot{
		StartedMS: s.begun.UnixMilli(),
		ElapsedMS: elapsed.Milliseconds(),
		Ready:     s.source.Ready(),
		Stats:     s.lines(""),
		Settings:  s.lines("settings"),
		Items:     s.lines("items"),
		Slabs:     s.lines("slabs"),
		Batch:     s.lines("batch"),
		Latency:   s.latency(),
		HotKeys:   s.hotKeys(),
	}
	engine := s.source.Engine()
	shot.Engine = page.Engine{Name: engine.Engine, Why: engine.Why}
	if engine.Engine == batch.EngineURing {
		shot.Engine.Features = engine.Features.String()
	}
	for _, c := range s.source.Channels() {
		shot.Channels = append(shot.Channels, channel(&c))
	}
	return shot
}

// lines are those of a group.
func (s *Server) lines(group string) page.Lines {
	lines := page.Lines{}
	s.source.Report(group, lines.Add)
	return lines
}

func channel(c *batch.Stats) page.Channel {
	return page.Channel{
		Connections: c.Conns, Parked: c.Parked, Accepted: c.Accepted,
		Batches: c.Batches, Completions: c.CQEs, Syscalls: c.Syscalls, Receives: c.Receives, Sends: c.Sends, NoBuffers: c.NoBuffers,
		BytesRead: c.BytesRead, BytesWritten: c.BytesWritten, SendQueueBytes: c.SendQueueBytes, InputBufferBytes: c.InputBufferBytes,
		CompletionsPerBatch: c.ReapSizes[:], BytesPerSend: c.SendSizes[:],
	}
}

// latency has the times of handling, in whole nanoseconds.
func (s *Server) latency() (l page.Latency) {
	for i := range latency.Buckets - 1 { // the last one is of all that is longer
		l.BoundsNS = append(l.BoundsNS, int64(latency.Bound(i)*1e9))
	}
	for class, name := range latency.Names {
		h := s.source.Latency(latency.Class(class))
		l.Classes = append(l.Classes, page.LatencyClass{Name: name, Samples: h.Count(), SumNS: h.Sum, Counts: h.Counts[:]})
	}
	return l
}

// hotKeys has names only where keys may be shown.
func (s *Server) hotKeys() *page.HotKeys {
	keys, looked := s.source.HotKeys(hotKeysMost)
	if !looked {
		return nil
	}
	found := page.Lines{} // of what was counted the Source has the keys only; a line that is not there makes 0
	hot := &page.HotKeys{Names: s.keys, Refused: !s.source.Report("hotkeys", found.Add)}
	hot.Uses, _ = strconv.ParseUint(found["hotkeys_uses"], 10, 64)
	hot.Seconds, _ = strconv.ParseUint(found["hotkeys_seconds"], 10, 64)
	for _, k := range keys {
		shown := page.HotKey{Count: k.Count, Error: k.Error}
		if s.keys {
			shown.Name = admin.EscapeKey(k.Name)
		}
		hot.Keys = append(hot.Keys, shown)
	}
	return hot
}
