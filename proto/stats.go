package proto

import "strconv"

// statistics are the groups that `stats <group>` shows; `stats` alone shows "".
var statistics = map[string]func(w *Worker){
	"":         generalStats,
	"settings": settingsStats,
	"items":    itemsStats,
	"slabs":    slabsStats,
	"batch":    batchStats,

	"sizes": sizesOff,
}

// emptyGroups are shown to text clients without a line: there is neither storage on disk nor a proxy.
var emptyGroups = map[string]bool{"extstore": true, "proxy": true, "proxyfuncs": true, "proxybe": true}

// showStats answers `stats [<group>]`.
func showStats(w *Worker, s *session, r *request) (int, step) {
	// What this worker counted since the last batch is part of the answer.
	w.tally.publish(w.shared)
	group := ""
	if r.n > 1 {
		group = string(r.arg(1))
	}
	if w.conn == guest && !guestStatistics[group] {
		w.tally.add(datagramsRefused)
		return w.reply(r, replyNoDatagram)
	}
	if group == "reset" {
		w.resetStats()
		return w.reply(r, replyReset)
	}
	switch {
	case group == "cachedump":
		return w.cachedump(s, r)
	case w.countsSizes(group):
		return w.startWalk(s, sizesWalk(), r.size)
	case group == "detail":
		return w.statsDetail(s, r)
	case group == "conns" && w.knowsConns():
		return w.startWalk(s, connsWalk(), r.size)
	}
	show, ok := statistics[group]
	if !ok && !emptyGroups[group] || r.n > 1 && group == "" {
		return w.reply(r, replyError)
	}
	if ok {
		show(w)
	}
	w.write(replyEnd)
	return r.size, stepDone
}

// resetStats makes the counts begin again: those of the requests, the store and the engine.
func (w *Worker) resetStats() {
	w.srv.resetCounters()
	w.st.ResetStats()
	w.srv.resetObserved()
	if e := w.srv.currentEngine(); e != nil {
		e.ResetStats()
	}
}

// stat writes one line of statistics, in the protocol in which they were asked for.
func (w *Worker) stat(name, value string) {
	if w.framed {
		w.frameStatLine(name, value)
		return
	}
	w.write("STAT ")
	w.writeLong(name)
	w.write(" ")
	w.writeLong(value)
	w.write("\r\n")
}

func batchStats(w *Worker) {
	if e := w.srv.currentEngine(); e != nil {
		e.BatchStats(w.stat)
	}
	counts := w.srv.counters()
	w.stat("datagrams_ignored", decimal(counts.server[datagramsIgnored]))
	w.stat("datagrams_refused", decimal(counts.server[datagramsRefused]))
	w.stat("datagrams_too_large", decimal(counts.server[datagramsTooLarge]))
}

func decimal[T int | int64 | uint32 | uint64](v T) string {
	if v < 0 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(uint64(v), 10)
}
