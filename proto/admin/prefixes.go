package admin

import (
	"bytes"
	"strconv"
	"sync"
)

// maxPrefixes is how many prefixes a worker counts. It does not count keys with any others.
const maxPrefixes = 4096

// prefixSlice is how many of a worker's prefixes a dump takes under its lock.
const prefixSlice = 128

// prefixCount is what was done with the keys of a prefix.
type prefixCount struct {
	prefix     string
	uses, hits [numUses]uint64
}

// prefixCounts are a worker's counts by prefix, which is what comes before the delimiter in a key. The lock is contended only when a client asks
// for the counts.
type prefixCounts struct {
	delimiter byte
	mu        sync.Mutex
	index     map[string]int
	counts    []prefixCount // in the order in which they came, so that slice can go over them
}

// count counts a use of key. A key without the delimiter has no prefix.
func (p *prefixCounts) count(key []byte, u Use, hit bool) {
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

// slice calls f for some of the counts, from number from on.
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
func (s *Server) detailEnabled() bool { return s.Interest()&prefixes != 0 }

// prefixesReport is the answer to `stats detail dump`: the counts of all workers, in order.
type prefixesReport struct {
	sum    map[string]*prefixCount
	worker int // those before it are in sum
	from   int // of its counts
	lines  minHeap[*prefixCount]
	text   []byte // rendered before any is written: a binary client reads its length first
	ready  bool   // text is whole
}

// prefixesReply makes the long reply that dumps the prefixes.
func prefixesReply() *longReply {
	d := &prefixesReport{sum: map[string]*prefixCount{}}
	d.lines.less = func(a, b *prefixCount) bool { return a.prefix < b.prefix }
	return &longReply{end: d.step}
}

// step adds up some counts, renders some, or writes some.
func (d *prefixesReport) step(w *Worker) (done bool) {
	if workers := w.srv.allWorkers(); d.worker < len(workers) {
		more := workers[d.worker].prefixes.slice(d.from, d.add)
		if d.from += prefixSlice; !more {
			d.worker, d.from = d.worker+1, 0
		}
		return false
	}
	if !d.ready {
		d.render(w)
		return false
	}
	n := min(len(d.text), pieceMax)
	w.out.Text(d.text[:n])
	if d.text = d.text[n:]; len(d.text) > 0 {
		return false
	}
	w.out.EndValue()
	return true
}

// add takes the counts of a worker.
func (d *prefixesReport) add(c *prefixCount) {
	s := d.sum[c.prefix]
	if s == nil {
		s = &prefixCount{prefix: c.prefix}
		d.sum[c.prefix] = s
		d.lines.push(s)
	}
	for u := range c.uses {
		s.uses[u] += c.uses[u]
		s.hits[u] += c.hits[u]
	}
}

// render renders some lines, and begins the reply when there are no more.
func (d *prefixesReport) render(w *Worker) {
	d.sum = nil
	for range stepLines {
		if len(d.lines.all) == 0 {
			d.text, d.ready = append(d.text, replyEnd...), true
			w.out.BeginValue("detailed", len(d.text))
			return
		}
		d.text = appendPrefix(d.text, d.lines.pop())
	}
}

// appendPrefix renders a line.
func appendPrefix(b []byte, c *prefixCount) []byte {
	b = appendPrinted(append(b, "PREFIX "...), c.prefix)
	b = strconv.AppendUint(append(b, " get "...), c.uses[UseGet], 10)
	b = strconv.AppendUint(append(b, " hit "...), c.hits[UseGet], 10)
	b = strconv.AppendUint(append(b, " set "...), c.uses[UseSet], 10)
	b = strconv.AppendUint(append(b, " del "...), c.uses[UseDelete], 10)
	return append(b, "\r\n"...)
}

// appendPrinted appends a prefix, and escapes bytes that would break the line: keys of binary clients may have any.
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
