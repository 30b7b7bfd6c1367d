package proto

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"sync"
)

// maxPrefixes is how many prefixes a worker counts. Keys of any others are not counted.
const maxPrefixes = 4096

const (
	replyDetailUsage = "CLIENT_ERROR usage: stats detail on|off|dump\r\n"
	replyNoDetail    = "CLIENT_ERROR stats detail not allowed\r\n"
)

// prefixCount is what was done with the keys of a prefix.
type prefixCount struct{ uses, hits [numUses]uint64 }

// prefixCounts are a worker's counts by prefix, which is what comes before the delimiter in a key. Only who asks for them ever contends
// for the lock.
type prefixCounts struct {
	delimiter byte
	mu        sync.Mutex
	counts    map[string]*prefixCount
}

// count counts a use of key. A key without the delimiter has no prefix.
func (p *prefixCounts) count(key []byte, u use, hit bool) {
	end := bytes.IndexByte(key, p.delimiter)
	if end < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[string(key[:end])]
	if c == nil {
		if len(p.counts) >= maxPrefixes {
			return
		}
		c = new(prefixCount)
		p.counts[string(key[:end])] = c
	}
	c.uses[u]++
	if hit {
		c.hits[u]++
	}
}

// addTo adds the counts to sum.
func (p *prefixCounts) addTo(sum map[string]*prefixCount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for prefix, c := range p.counts {
		s := sum[prefix]
		if s == nil {
			s = new(prefixCount)
			sum[prefix] = s
		}
		for u := range c.uses {
			s.uses[u] += c.uses[u]
			s.hits[u] += c.hits[u]
		}
	}
}

// clear forgets all counts.
func (p *prefixCounts) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.counts)
}

// delimiter is what ends a prefix.
func (s *Server) delimiter() byte { return or(s.config.Settings.Prefix, ":")[0] }

// detailEnabled says that uses are counted by prefix.
func (s *Server) detailEnabled() bool { return interest(s.interest.Load())&prefixes != 0 }

// statsDetail answers `stats detail on|off|dump`. Prefixes are parts of keys, so that where these may not be dumped, -X, it is not allowed.
func (w *Worker) statsDetail(r *request) (int, step) {
	if w.srv.config.Settings.DumpDisabled {
		return w.reply(r, replyNoDetail)
	}
	text, ok := w.detail(string(r.arg(2)))
	if !ok {
		return w.reply(r, replyDetailUsage)
	}
	w.writeLong(text)
	return r.size, stepDone
}

// detail does what is asked of the statistics by prefix and gives the reply of the text protocol. False: it is nothing that can be asked.
func (w *Worker) detail(what string) (reply string, ok bool) {
	switch what {
	case "on":
		w.srv.setInterest(prefixes, prefixes)
	case "off":
		w.srv.setInterest(0, prefixes)
	case "dump":
		return w.srv.dumpPrefixes(), true
	default:
		return "", false
	}
	w.interest = interest(w.srv.interest.Load()) // for what follows in this call too
	return replyOK, true
}

// dumpPrefixes renders the counts of all workers.
func (s *Server) dumpPrefixes() string {
	sum := map[string]*prefixCount{}
	for _, w := range s.allWorkers() {
		w.prefixes.addTo(sum)
	}
	var b []byte
	for _, prefix := range slices.Sorted(maps.Keys(sum)) {
		c := sum[prefix]
		b = appendPrinted(append(b, "PREFIX "...), prefix)
		b = strconv.AppendUint(append(b, " get "...), c.uses[useGet], 10)
		b = strconv.AppendUint(append(b, " hit "...), c.hits[useGet], 10)
		b = strconv.AppendUint(append(b, " set "...), c.uses[useSet], 10)
		b = strconv.AppendUint(append(b, " del "...), c.uses[useDelete], 10)
		b = append(b, "\r\n"...)
	}
	return string(append(b, replyEnd...))
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
