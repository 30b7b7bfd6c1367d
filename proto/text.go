package proto

import (
	"bytes"
	"encoding/binary"

	"ringcached/proto/admin"
)

// The first four bytes of the commands that are most of all traffic, as one number.
var (
	wordGet = binary.LittleEndian.Uint32([]byte("get "))
	wordSet = binary.LittleEndian.Uint32([]byte("set "))
)

// text answers the request at the beginning of in. Gets of one key and sets that arrived whole are recognised by their first
// bytes and parsed in one pass; whatever is not exactly of that form goes the general way.
func (w *Worker) text(s *session, in []byte) (int, step) {
	if len(in) >= len("get k\n") && !w.trace {
		switch binary.LittleEndian.Uint32(in) {
		case wordGet:
			if n := w.getOne(in); n > 0 {
				return n, stepDone
			}
		case wordSet:
			if n := w.setWhole(in); n > 0 {
				return n, stepDone
			}
		default:
			if in[0] == 'm' && in[1] == 'g' && in[2] == ' ' {
				if n := w.metaGetWhole(in); n > 0 {
					return n, stepDone
				}
			}
		}
	}
	return w.line(s, in)
}

// line answers any command line.
func (w *Worker) line(s *session, in []byte) (int, step) {
	end := bytes.IndexByte(in[:min(len(in), MaxLine)], '\n')
	if end < 0 {
		return longLine(s, in)
	}
	r := &w.req
	r.in, r.line, r.size, r.quiet = in, trimCR(in[:end]), end+1, false
	if w.trace {
		w.traceText("<", string(r.line))
	}
	if r.size < 4 {
		if w.conn == noConnection {
			return r.size, stepBreak
		}
		w.write(replyBadFormat)
		return r.size, stepDone
	}
	c := r.command()
	if c == nil {
		return w.unknown(r)
	}
	if r.n < c.min {
		w.write(replyBadFormat)
		return r.size, stepDone
	}
	r.quiet = c.quiet && string(r.lastArg()) == "noreply"
	return c.run(w, s, r)
}

// command finds the line's command and splits the line for it. A name behind spaces is one of few.
func (r *request) command() *command {
	name := bytes.IndexByte(r.line, ' ')
	if name < 0 {
		name = len(r.line)
	}
	c := find(r.line[:name])
	if c != nil && c.keys {
		r.n, r.args[0] = 1, span{0, uint16(name)}
		return c
	}
	r.split()
	if c == nil && name == 0 {
		if c = find(r.arg(0)); c != nil && c.padded {
			return c
		}
		return nil
	}
	return c
}

// unknown answers a line that begins with no command's name. It cuts off a web browser, which somebody may have made talk to us, and the
// sender of a datagram, which may be another server's reply.
func (w *Worker) unknown(r *request) (int, step) {
	if w.conn == noConnection || r.n > 1 && bytes.HasPrefix(r.lastArg(), []byte("HTTP/")) {
		return r.size, stepBreak
	}
	w.writeUnless(r.n > 0 && string(r.lastArg()) == "noreply", replyError)
	return r.size, stepDone
}

// longLine handles input without a line's end. Only the keys of a get or gat may go on beyond MaxLine; the session then answers them one by one.
func longLine(s *session, in []byte) (int, step) {
	switch {
	case len(in) < MaxLine:
		return 0, stepMore
	case bytes.HasPrefix(in, []byte("get ")):
		s.enter(session{mode: modeKeys})
		return len("get "), stepGo
	case bytes.HasPrefix(in, []byte("gets ")):
		s.enter(session{mode: modeKeys, flags: flagCAS})
		return len("gets "), stepGo
	case bytes.HasPrefix(in, []byte("gat ")):
		s.enter(session{mode: modeExptime, flags: flagTouch})
		return len("gat "), stepGo
	case bytes.HasPrefix(in, []byte("gats ")):
		s.enter(session{mode: modeExptime, flags: flagTouch | flagCAS})
		return len("gats "), stepGo
	}
	return 0, stepBreak
}

// swallow skips a value that was refused.
func (w *Worker) swallow(s *session, in []byte) (int, step) {
	n := min(len(in), int(s.left))
	s.left -= uint32(n)
	if s.left == 0 {
		w.completed()
		s.rest()
	}
	return n, stepGo
}

// skipLine skips the rest of a line.
func (w *Worker) skipLine(s *session, in []byte) (int, step) {
	end := bytes.IndexByte(in, '\n')
	if end < 0 {
		return len(in), stepMore
	}
	w.completed()
	s.rest()
	return end + 1, stepGo
}

// reply answers a request, unless it asked for no reply.
func (w *Worker) reply(r *request, text string) (int, step) {
	w.writeUnless(r.quiet, text)
	return r.size, stepDone
}

// command is a row of the table: a name of the text protocol and what it does.
type command struct {
	name   string
	min    int  // fewest tokens, the name among them; fewer is a bad command line
	quiet  bool // noreply as the last token hides the reply
	padded bool // found behind leading spaces too
	keys   bool // takes what follows as it comes: the line is not split for it
	// run answers w.req and says how much of w.req.in was used.
	run func(w *Worker, s *session, r *request) (int, step)
}

// commands of the text protocol. get and set of the plainest form do not come here: see text.
var commands = [...]command{
	{name: "get", min: 1, keys: true, run: getKeys(0)},
	{name: "gets", min: 1, keys: true, run: getKeys(flagCAS)},
	{name: "gat", min: 3, run: getAndTouchKeys(0)},
	{name: "gats", min: 3, run: getAndTouchKeys(flagCAS)},
	{name: "set", min: 5, run: storage(verbSet)},
	{name: "add", min: 5, run: storage(verbAdd)},
	{name: "replace", min: 5, run: storage(verbReplace)},
	{name: "append", min: 5, run: storage(verbAppend)},
	{name: "prepend", min: 5, run: storage(verbPrepend)},
	{name: "cas", min: 5, run: storage(verbCAS)},
	{name: "incr", min: 3, quiet: true, run: incrDecr(true)},
	{name: "decr", min: 3, quiet: true, run: incrDecr(false)},
	{name: "delete", min: 2, quiet: true, run: deleteKey},
	{name: "touch", min: 3, quiet: true, run: touchKey},
	{name: "flush_all", min: 1, quiet: true, padded: true, run: overConnections(flushAll)},
	{name: "verbosity", min: 1, quiet: true, padded: true, run: administer((*admin.Worker).Verbosity)},
	{name: "stats", min: 1, run: showStats},
	{name: "version", min: 1, run: showVersion},
	{name: "quit", min: 1, run: quit},
	{name: "shutdown", min: 1, quiet: true, padded: true, run: overConnections(shutdown)},
	{name: "cache_memlimit", min: 1, quiet: true, padded: true, run: administer((*admin.Worker).CacheMemlimit)},
	{name: "slabs", min: 1, quiet: true, padded: true, run: administer((*admin.Worker).Slabs)},
	{name: "lru", min: 1, quiet: true, padded: true, run: administer((*admin.Worker).LRU)},
	{name: "lru_crawler", min: 1, quiet: true, padded: true, run: overConnections(lruCrawler)},
	{name: "refresh_certs", min: 1, quiet: true, padded: true, run: overConnections(refreshCerts)},
	{name: "watch", min: 1, run: overConnections(watch)},
	{name: "mg", min: 1, keys: true, run: metaGet},
	{name: "ms", min: 1, keys: true, run: metaSet},
	{name: "md", min: 1, keys: true, run: metaDelete},
	{name: "ma", min: 1, keys: true, run: metaArithmetic},
	{name: "mn", min: 1, keys: true, run: metaNoop},
	{name: "me", min: 1, keys: true, run: metaDebug},
}

// longestName is the length of the longest command's name.
const longestName = 14

// byLength are the commands by the length of their names, so that finding one compares a few names of the same length.
var byLength = func() (t [longestName + 1][]*command) {
	for i := range commands {
		c := &commands[i]
		t[len(c.name)] = append(t[len(c.name)], c)
	}
	return t
}()

// find gives the command of that name, nil if there is none.
func find(name []byte) *command {
	if len(name) > longestName {
		return nil
	}
	for _, c := range byLength[len(name)] {
		if c.name == string(name) {
			return c
		}
	}
	return nil
}

// MaxLine is the longest command line, in bytes with its ending. Only the keys of a get or gets may go on behind it.
const MaxLine = 2048

// maxKey is the longest key in bytes.
const maxKey = 250

// maxArgs is how many tokens of a line a request keeps: as many as any command looks at. It also keeps the last one, for noreply.
const maxArgs = 6

// span is where a token lies in its line.
type span struct{ from, to uint16 }

// request is a command line that is being answered. There is one per worker, so that handing it to a command costs nothing.
type request struct {
	in    []byte // everything at hand from the first byte of the line on
	line  []byte // the line without its ending
	size  int    // of the line with its ending
	quiet bool   // noreply
	n     int    // tokens in the line, the command's name among them
	args  [maxArgs]span
	last  span
}

// split finds the tokens of r.line, which spaces separate.
func (r *request) split() {
	r.n = 0
	for p := 0; ; {
		for p < len(r.line) && r.line[p] == ' ' {
			p++
		}
		if p == len(r.line) {
			return
		}
		end := bytes.IndexByte(r.line[p:], ' ')
		if end < 0 {
			end = len(r.line) - p
		}
		r.last = span{uint16(p), uint16(p + end)}
		if r.n < maxArgs {
			r.args[r.n] = r.last
		}
		r.n++
		p += end
	}
}

// arg is token i, the command's name being token 0; nil if there are not so many.
func (r *request) arg(i int) []byte {
	if i >= r.n {
		return nil
	}
	return r.line[r.args[i].from:r.args[i].to]
}

// lastArg is the last token.
func (r *request) lastArg() []byte { return r.line[r.last.from:r.last.to] }

// given is how many tokens there are, without a noreply.
func (r *request) given() int {
	if r.quiet {
		return r.n - 1
	}
	return r.n
}

// trimCR takes a carriage return from the end of a line.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
