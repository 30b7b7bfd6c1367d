package admin

import "strings"

// groups are what `stats <group>` shows in one go; `stats` alone shows "". Stats has those that take a long reply, or do something else.
var groups = map[string]func(s *Server, add func(name, value string)){
	"":         (*Server).reportGeneral,
	"settings": (*Server).reportSettings,
	"items":    (*Server).reportItems,
	"slabs":    (*Server).reportSlabs,
	"batch":    (*Server).reportBatch,
	"hotkeys":  (*Server).reportHotKeys,
	"sizes":    func(_ *Server, add func(name, value string)) { add("sizes_status", "disabled") },
}

// Report calls add for the lines of `stats group`, "" being `stats` alone, from what the workers published at the end of their last batches. Any goroutine
// may call it, while the store is open: it takes the store's locks for moments, as `stats` does, and waits for no worker. False: there is no such group,
// or it is one that takes a long reply or does something, or one that shows keys, which -X forbids.
func (s *Server) Report(group string, add func(name, value string)) bool {
	report, ok := groups[group]
	if ok = ok && !(group == "hotkeys" && s.config.Settings.DumpDisabled); ok {
		report(s, add)
	}
	return ok
}

const (
	replyReset       = "RESET\r\n"
	replyDetailUsage = "CLIENT_ERROR usage: stats detail on|off|dump\r\n"
	replyNoDetail    = "CLIENT_ERROR stats detail not allowed\r\n"
	replyNoHotKeys   = "CLIENT_ERROR stats hotkeys not allowed\r\n"
)

// Stats answers `stats <group>` but for Cachedump, which only the text protocol has. The group detail is followed by a space and an argument.
// What this worker counted since the last batch is part of the answer.
func (w *Worker) Stats(group string) Answer {
	w.tally.publish(w.published)
	if argument, ok := strings.CutPrefix(group, "detail "); ok {
		return w.detail(argument)
	}
	switch {
	case group == "reset":
		w.resetStats()
		return say(replyReset)
	case group == "sizes" && w.srv.config.Settings.TrackSizes:
		return w.begin(sizesReply())
	case group == "conns" && w.srv.Engine() != nil:
		return w.begin(connsReply())
	case group == "hotkeys" && w.srv.config.Settings.DumpDisabled:
		return refuse(replyNoHotKeys)
	}
	if !w.srv.Report(group, w.stat) {
		return refuse(replyError)
	}
	return say(replyEnd)
}

// resetStats makes the counts of requests, store, watching, prefixes and engine begin at 0.
func (w *Worker) resetStats() {
	w.srv.resetCounters()
	w.st.ResetStats()
	w.srv.resetWatchCounts()
	for _, other := range w.srv.allWorkers() {
		other.prefixes.clear()
	}
	if e := w.srv.Engine(); e != nil {
		e.ResetStats()
	}
}

// detail answers `stats detail on|off|dump`. Prefixes are parts of keys: -X, which forbids to dump keys, forbids it too.
func (w *Worker) detail(what string) Answer {
	if w.srv.config.Settings.DumpDisabled {
		return refuse(replyNoDetail)
	}
	switch what {
	case "on":
		w.srv.setInterest(prefixes, prefixes)
	case "off":
		w.srv.setInterest(0, prefixes)
	case "dump":
		return w.begin(prefixesReply())
	default:
		return refuse(replyDetailUsage)
	}
	return say(replyOK)
}

// hotKeysMost is how many keys `stats hotkeys` shows.
const hotKeysMost = 20

// reportHotKeys tells which keys are used most.
func (s *Server) reportHotKeys(add func(name, value string)) {
	if s.config.HotKeys == nil {
		add("hotkeys_status", "disabled")
		return
	}
	r := s.config.HotKeys.Report(hotKeysMost)
	add("hotkeys_uses", decimal(r.Uses))
	add("hotkeys_seconds", decimal(r.Seconds))
	for i, k := range r.Keys {
		prefix := "hotkeys:" + decimal(i+1) + ":"
		add(prefix+"key", EscapeKey(k.Name))
		add(prefix+"count", decimal(k.Count))
		add(prefix+"error", decimal(k.Error))
	}
}

// reportBatch tells what the engine says of its batches, and the datagrams.
func (s *Server) reportBatch(add func(name, value string)) {
	if e := s.Engine(); e != nil {
		e.BatchStats(add)
	}
	counts := s.counters()
	add("datagrams_ignored", decimal(counts.server[DatagramsIgnored]))
	add("datagrams_refused", decimal(counts.server[DatagramsRefused]))
	add("datagrams_too_large", decimal(counts.server[DatagramsTooLarge]))
}
