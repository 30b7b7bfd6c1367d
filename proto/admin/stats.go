package admin

import "strings"

// groups are what `stats <group>` shows in one go; `stats` alone shows "". Stats has those that take a long reply, or do something else.
var groups = map[string]func(w *Worker){
	"":         showGeneral,
	"settings": showSettings,
	"items":    showItems,
	"slabs":    showSlabs,
	"batch":    showBatch,
	"sizes":    func(w *Worker) { w.stat("sizes_status", "disabled") },
}

const (
	replyReset       = "RESET\r\n"
	replyDetailUsage = "CLIENT_ERROR usage: stats detail on|off|dump\r\n"
	replyNoDetail    = "CLIENT_ERROR stats detail not allowed\r\n"
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
	}
	show, ok := groups[group]
	if !ok {
		return refuse(replyError)
	}
	show(w)
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

// showBatch shows what the engine says of its batches, and the datagrams.
func showBatch(w *Worker) {
	if e := w.srv.Engine(); e != nil {
		e.BatchStats(w.stat)
	}
	counts := w.srv.counters()
	w.stat("datagrams_ignored", decimal(counts.server[DatagramsIgnored]))
	w.stat("datagrams_refused", decimal(counts.server[DatagramsRefused]))
	w.stat("datagrams_too_large", decimal(counts.server[DatagramsTooLarge]))
}
