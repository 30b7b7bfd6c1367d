package proto

import (
	"bytes"
	"strconv"
	"sync"

	"ringcached/internal/contract"
)

// maxPrefixes is how many prefixes a worker counts. Keys of any others are not counted.
const maxPrefixes = 4096

const (
	replyDetailUsage = "CLIENT_ERROR usage: stats detail on|off|dump\r\n"
	replyNoDetail    = "CLIENT_ERROR stats detail not allowed\r\n"
)

// prefixSlice is how many of a worker's prefixes a dump takes under its lock.
const prefixSlice = 128

// prefixCount is what was done with the keys of a prefix.
type prefixCount struct {
	prefix     string
	uses, hits [numUses]uint64
}

// prefixCounts are a worker's counts by prefix, which is what comes before the delimiter in a key. Only who asks for them ever contends
// for the lock.
type prefixCounts struct {
	delimiter byte
	mu        sync.Mutex
	index     map[string]int
	counts    []prefixCount // in the order in which they came, so that they can be gone over in turns
}

// count counts a use of key. A key without the delimiter has no prefix.
func (p *prefixCounts) count(key []byte, u use, hit bool) {
	end := bytes.IndexByte(key, p.delimiter)
	if end < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.index[string(key[:end])]
	if !ok {
		if i = len(p.counts); i >= maxPrefixes {
			return
		}
		prefix := string(key[:end])
		p.counts = append(p.counts, prefixCount{prefix: prefix})
		p.index[prefix] = i
	}
	c := &p.counts[i]
	c.uses[u]++
	if hit {
		c.hits[u]++
	}
}

// slice calls f for some of the counts, from number from on, and says whether there are more.
func (p *prefixCounts) slice(from int, f func(*prefixCount)) (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := min(from+prefixSlice, len(p.counts))
	for i := from; i < end; i++ {
		f(&p.counts[i])
	}
	return end < len(p.counts)
}

// clear forgets all counts.
func (p *prefixCounts) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.index)
	p.counts = nil
}

// delimiter is what ends a prefix.
func (s *Server) delimiter() byte { return or(s.config.Settings.Prefix, ":")[0] }

// detailEnabled says that uses are counted by prefix.
func (s *Server) detailEnabled() bool { return interest(s.interest.Load())&prefixes != 0 }

// statsDetail answers `stats detail on|off|dump`. Prefixes are parts of keys, so that where these may not be dumped, -X, it is not allowed.
func (w *Worker) statsDetail(s *session, r *request) (int, step) {
	what := string(r.arg(2))
	switch {
	case w.srv.config.Settings.DumpDisabled:
		return w.reply(r, replyNoDetail)
	case what == "dump":
		return w.startWalk(s, prefixesWalk(), r.size)
	case !w.detail(what):
		return w.reply(r, replyDetailUsage)
	}
	return w.reply(r, replyOK)
}

// detail turns the statistics by prefix on or off. False: it is neither that is wanted.
func (w *Worker) detail(what string) (ok bool) {
	switch what {
	case "on":
		w.srv.setInterest(prefixes, prefixes)
	case "off":
		w.srv.setInterest(0, prefixes)
	default:
		return false
	}
	w.interest = interest(w.srv.interest.Load()) // for what follows in this call too
	return true
}

// prefixesReport is the answer to `stats detail dump`: the counts of all workers, in order.
type prefixesReport struct {
	sum    map[string]*prefixCount
	worker int // those before it are in sum
	from   int // of its counts
	lines  pile[*prefixCount]
	text   []byte // a binary client gets it as one value, with its length first
	ready  bool
}

// prefixesWalk makes the walk that dumps the prefixes.
func prefixesWalk() *walk {
	d := &prefixesReport{sum: map[string]*prefixCount{}}
	d.lines.less = func(a, b *prefixCount) bool { return a.prefix < b.prefix }
	return &walk{end: d.step}
}

// step adds up some counts, renders some, or writes some.
func (d *prefixesReport) step(w *Worker, k *walk) (done bool) {
	if workers := w.srv.allWorkers(); d.worker < len(workers) {
		more := workers[d.worker].prefixes.slice(d.from, d.add)
		if d.from += prefixSlice; !more {
			d.worker, d.from = d.worker+1, 0
		}
		return false
	}
	if !d.ready {
		d.render(k)
		return false
	}
	return d.write(w, k)
}

// add takes the counts of a worker.
func (d *prefixesReport) add(c *prefixCount) {
	s := d.sum[c.prefix]
	if s == nil {
		s = &prefixCount{prefix: c.prefix}
		d.sum[c.prefix] = s
		d.lines.put(s)
	}
	for u := range c.uses {
		s.uses[u] += c.uses[u]
		s.hits[u] += c.hits[u]
	}
}

// render makes text of some lines, and of all that leads up to it.
func (d *prefixesReport) render(k *walk) {
	d.sum = nil
	for range walkLines {
		if len(d.lines.all) > 0 {
			d.text = appendPrefix(d.text, d.lines.take())
			continue
		}
		d.text, d.ready = append(d.text, replyEnd...), true
		if k.framed {
			const name = "detailed"
			head := appendHeader(nil, k.to, statusOK, shape{key: len(name), value: len(d.text)}, 0)
			d.text = append(append(head, name...), d.text...)
		}
		return
	}
}

// write writes some of the text.
func (d *prefixesReport) write(w *Worker, k *walk) (done bool) {
	n := min(len(d.text), contract.ReserveMax/4)
	w.room(n)
	w.buf = append(w.buf, d.text[:n]...)
	if d.text = d.text[n:]; len(d.text) > 0 {
		return false
	}
	if k.framed {
		w.frameReply(k.to, statusOK, "", 0)
	}
	return true
}

// appendPrefix renders a line.
func appendPrefix(b []byte, c *prefixCount) []byte {
	b = appendPrinted(append(b, "PREFIX "...), c.prefix)
	b = strconv.AppendUint(append(b, " get "...), c.uses[useGet], 10)
	b = strconv.AppendUint(append(b, " hit "...), c.hits[useGet], 10)
	b = strconv.AppendUint(append(b, " set "...), c.uses[useSet], 10)
	b = strconv.AppendUint(append(b, " del "...), c.uses[useDelete], 10)
	return append(b, "\r\n"...)
}

// appendPrinted appends a prefix as it is, but for what would spoil the line: keys of binary clients may have anything in them.
func appendPrinted(b []byte, prefix string) []byte {
	for _, c := range []byte(prefix) {
		if c <= ' ' || c == 0x7f {
			b = appendEscaped(b, []byte{c})
		} else {
			b = append(b, c)
		}
	}
	return b
}
