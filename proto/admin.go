package proto

import (
	"encoding/binary"
	"strings"

	"ringcached/internal/contract"
	"ringcached/proto/admin"
	"ringcached/proto/hotkeys"
	"ringcached/proto/latency"
)

// Commands of administration, in the text protocol and, at the end, in the binary one. Package admin does what they say.

const (
	replyNoStop   = "SERVER_ERROR: shutdown not enabled\r\n"
	replyStopMode = "CLIENT_ERROR invalid shutdown mode\r\n"
	replyNoTLS    = "Error TLS not enabled\r\n"
)

// emptyGroups of statistics have no line for text clients: the server has neither storage on disk nor a proxy.
var emptyGroups = map[string]bool{"extstore": true, "proxy": true, "proxyfuncs": true, "proxybe": true}

// Arg implements admin.Request, as the next four do.
func (r *request) Arg(i int) []byte { return r.arg(i) }

func (r *request) Given() int { return r.given() }

func (r *request) Uint(i int, limit uint64) (uint64, bool) { return parseUint(r.arg(i), limit) }

func (r *request) Int32(i int) (int32, bool) { return parseInt32(r.arg(i)) }

func (r *request) Quiet() bool { return r.quiet }

// Latency is how long commands of a class were handled since the start, all workers together: the times of samples. Any goroutine may call it, as what
// follows.
func (s *Server) Latency(c latency.Class) (h latency.Histogram) {
	for _, w := range s.allWorkers() {
		w.published.AddTo(c, &h)
	}
	return h
}

// HotKeys are the keys that are used most, the most used first, at most n. None without Settings.HotKeys, or where Settings.DumpDisabled forbids to show
// keys.
func (s *Server) HotKeys(n int) []hotkeys.Key {
	if s.hot == nil || s.config.Settings.DumpDisabled {
		return nil
	}
	return s.hot.Top(n)
}

// administer makes a command of one of package admin that has a short reply.
func administer(run func(*admin.Worker, admin.Request) string) func(*Worker, *session, *request) (int, step) {
	return overConnections(func(w *Worker, _ *session, r *request) (int, step) { return w.reply(r, run(&w.admin, r)) })
}

// lruCrawler answers `lru_crawler <command> ...`.
func lruCrawler(w *Worker, s *session, r *request) (int, step) {
	return w.answer(s, r, w.admin.Crawler(r))
}

// answer writes how package admin answered r, or goes on with the long reply that it began. Data then leaves the last byte of the
// request, with which its caller comes again.
func (w *Worker) answer(s *session, r *request, a admin.Answer) (int, step) {
	if a.Text != "" {
		w.writeUnless(r.quiet, a.Text)
	}
	if !a.Long {
		return r.size, stepDone
	}
	s.enter(session{mode: modeLongReply, slot: a.Slot})
	return r.size - 1, stepGo
}

// longReply goes on with a long reply.
func (w *Worker) longReply(s *session) (int, step) {
	if s.flags&flagBinary != 0 {
		w.framed, w.frame.echo = true, echo{opcodeStat, s.tag}
	}
	progress := w.admin.Continue(s.slot)
	w.framed = false
	switch progress {
	case admin.Waiting:
		return 0, stepQueue
	case admin.Running:
		return 0, stepYield
	}
	s.rest()
	if progress == admin.Expelled {
		return 0, stepBreak
	}
	return 1, stepDone
}

// showStats answers `stats [<group>]`.
func showStats(w *Worker, s *session, r *request) (int, step) {
	group := string(r.arg(1))
	if w.conn == noConnection && !datagramStatistics[group] {
		w.tally.Add(admin.DatagramsRefused)
		return w.reply(r, replyNoDatagram)
	}
	switch {
	case emptyGroups[group]:
		return w.reply(r, replyEnd)
	case group == "cachedump":
		return w.answer(s, r, w.admin.Cachedump(r))
	case group == "detail":
		a := w.admin.Stats("detail " + string(r.arg(2)))
		w.interest = w.srv.admin.Interest() // for what follows in this call too
		return w.answer(s, r, a)
	}
	return w.answer(s, r, w.admin.Stats(group))
}

// flushAll answers `flush_all [delay] [noreply]`. A delay that is not positive means now.
func flushAll(w *Worker, _ *session, r *request) (int, step) {
	var at uint32
	if r.n > 2 || r.n == 2 && !r.quiet {
		t, ok := parseInt32(r.arg(1))
		if !ok && !w.srv.config.Settings.FlushDisabled {
			w.tally.Add(admin.FlushCommands)
			return w.reply(r, replyBadExptime)
		}
		if t > 0 {
			at = w.expiry(int64(t))
		}
	}
	return w.reply(r, choose(w.admin.Flush(at), replyOK, replyNoFlush))
}

// watch answers `watch [<kind>...]`. From then on the connection reads what happens, and nothing that it sends has a meaning, until it closes.
func watch(w *Worker, s *session, r *request) (int, step) {
	var kinds [][]byte
	for from, to := nextToken(r.line, int(r.args[0].to)); from < to; from, to = nextToken(r.line, to) {
		kinds = append(kinds, r.line[from:to])
	}
	reply, ok := w.admin.Watch(w.conn, kinds)
	if ok {
		s.enter(session{mode: modeWatch})
	}
	return w.reply(r, reply)
}

// ignore passes over what a watcher sends.
func ignore(in []byte) (int, step) { return len(in), stepGo }

// Idle says whether a connection that has sent nothing for long may be closed: one that watches has nothing to send.
func (w *Worker) Idle(conn uint32) bool { return w.sessions.of(conn).mode != modeWatch }

// Pending lists the connections that watch and that Push has something for. Call it after EndBatch, and soon after Engine.Wake. The list is
// valid until the next call.
func (w *Worker) Pending() []uint32 { return w.admin.Pending() }

// Push writes what waits for a connection that watches, until out is Full. It returns whether there is more.
func (w *Worker) Push(conn uint32, out contract.Replies) (more bool) { return w.admin.Push(conn, out) }

// shutdown answers `shutdown [graceful]`. The server finishes what is in flight either way.
func shutdown(w *Worker, _ *session, r *request) (int, step) {
	stop := w.srv.config.Shutdown
	graceful := string(r.arg(1)) == "graceful"
	switch {
	case stop == nil:
		return w.reply(r, replyNoStop)
	case r.n > 2 || r.n == 2 && !graceful:
		return w.reply(r, replyStopMode)
	}
	stop(graceful)
	return r.size, stepClose
}

// refreshCerts answers `refresh_certs`. As in memcached an error begins with a word that is no error of the protocol's, and is said after noreply too.
func refreshCerts(w *Worker, _ *session, r *request) (int, step) {
	refresh := w.srv.config.RefreshCertificates
	if refresh == nil {
		w.write(replyNoTLS)
		return r.size, stepDone
	}
	if err := refresh(); err != nil {
		w.writeLong("Error " + strings.Map(printable, err.Error()) + "\r\n")
		return r.size, stepDone
	}
	return w.reply(r, replyOK)
}

// printable leaves a text in one line.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

func showVersion(w *Worker, _ *session, r *request) (int, step) {
	w.writeLong(w.srv.version)
	return r.size, stepDone
}

func quit(_ *Worker, _ *session, r *request) (int, step) { return r.size, stepClose }

// stateName is memcached's name for what a connection is doing that has sent a part of a request or nothing, "" if that says all.
func (w *Worker) stateName(conn uint32) string {
	switch w.sessions.of(conn).mode {
	case modeUpload:
		return "conn_nread"
	case modeSwallow, modeSkip:
		return "conn_swallow"
	case modeWatch:
		return "conn_watch"
	case modeLongReply:
		return "conn_parse_cmd"
	}
	return ""
}

// adminReplies is how package admin writes to the connection that is being answered.
type adminReplies struct{ w *Worker }

// Stat implements admin.Replies, as the rest does.
func (a adminReplies) Stat(name, value []byte) {
	if a.w.framed {
		a.w.frameStatLine(name, value)
		return
	}
	a.w.write("STAT ")
	a.Text(name)
	a.w.write(" ")
	a.Text(value)
	a.w.write("\r\n")
}

func (a adminReplies) EndStats() {
	if a.w.framed {
		a.w.frameReply(a.w.frame.echo, statusOK, "", 0)
	} else {
		a.w.write(replyEnd)
	}
}

func (a adminReplies) Text(text []byte) {
	for len(text) > 0 {
		n := min(len(text), contract.ReserveMax/4)
		a.w.room(n)
		a.w.buf = append(a.w.buf, text[:n]...)
		text = text[n:]
	}
}

func (a adminReplies) BeginValue(name string, size int) {
	if a.w.framed {
		a.w.room(headerLen + len(name))
		a.w.buf = appendHeader(a.w.buf, a.w.frame.echo, statusOK, shape{key: len(name), value: size}, 0)
		a.w.buf = append(a.w.buf, name...)
	}
}

func (a adminReplies) EndValue() {
	if a.w.framed {
		a.w.frameReply(a.w.frame.echo, statusOK, "", 0)
	}
}

func (a adminReplies) Full() bool { return a.w.full }

func frameVersion(w *Worker, _ *session, f *frame) (int, step) {
	w.frameReply(f.echo, statusOK, w.srv.config.Version, 0)
	return f.head, stepDone
}

// frameNoop ends a series of quiet requests: the replies are not held back for more.
func frameNoop(w *Worker, _ *session, f *frame) (int, step) {
	w.frameReply(f.echo, statusOK, "", 0)
	return f.head, stepFlush
}

func frameQuit(w *Worker, _ *session, f *frame) (int, step) {
	n, _ := w.frameDone(f, statusOK, 0)
	return n, stepClose
}

// frameFlush is Flush, with the second at which it is to happen or without.
func frameFlush(w *Worker, _ *session, f *frame) (int, step) {
	if w.conn == noConnection {
		return w.frameOverConnections(f)
	}
	var at uint32
	if f.extrasLen > 0 {
		at = w.expiry(int64(binary.BigEndian.Uint32(f.extras)))
	}
	if !w.admin.Flush(at) {
		return w.frameDone(f, statusAuth, 0)
	}
	return w.frameDone(f, statusOK, 0)
}

// opcodeStat is the opcode of Stat, the only binary request that can have a long reply.
const opcodeStat = 0x10

// frameStat is Stat: a reply for each line of the statistics that the key names, and one without key and value. The reply to "detail dump" is
// one value.
func frameStat(w *Worker, s *session, f *frame) (int, step) {
	group := string(f.key)
	if w.conn == noConnection && !datagramStatistics[group] {
		return w.frameOverConnections(f)
	}
	w.framed = true
	a := w.admin.Stats(group)
	w.framed = false
	w.interest = w.srv.admin.Interest() // "detail on" counts what follows in this call too
	switch {
	case a.Refused:
		return w.frameDone(f, statusNotFound, 0)
	case a.Long:
		s.enter(session{mode: modeLongReply, flags: flagBinary, tag: f.opaque, slot: a.Slot})
		return f.head - 1, stepGo
	}
	return w.frameDone(f, statusOK, 0)
}

// frameStatLine is one line of statistics.
func (w *Worker) frameStatLine(name, value []byte) {
	name = name[:min(len(name), 1<<16-1)]
	w.room(headerLen)
	w.buf = appendHeader(w.buf, w.frame.echo, statusOK, shape{key: len(name), value: len(value)}, 0)
	adminReplies{w}.Text(name)
	adminReplies{w}.Text(value)
}
