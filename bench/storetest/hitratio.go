package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"ringcached/bench/evictsim"
	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// ratioTrace is a kind of trace as hit-ratio puts it to servers.
type ratioTrace struct {
	evictsim.Trace
	memoryMB, keys, rate int
	item                 uint32 // size of key and value, where all are of one
	warmup, counted      int    // requests
	seeds                []ratioSeed
}

// ratioSeed is one trace of the kind, put to every server.
type ratioSeed struct {
	Hits  []float64 `json:"hits"`  // of each server, from 0 to 1
	Items []int64   `json:"items"` // there at the end
	LRU   float64   `json:"lru"`   // hits of a simulated strict LRU of the bytes that the first server held at the end
}

// The bytes of key and value where all items are of one size, in most traces and in those of small items, and how many
// keys these have for each MB of the cache. itemRoom is about how much memory an item takes for each of its bytes.
const uniformItem, smallItem, smallPerMB, itemRoom = 1000, 500, 12_500, 1.15

// newRatioTrace has ten times as many keys as fit, or what the trace says. All traces take the same time.
func newRatioTrace(t evictsim.Trace, z *Scale) *ratioTrace {
	const sample = 10_000
	tenfold := func(size float64) int { return int(10 * (float64(z.RatioMB) * pageSize / (size * itemRoom))) }
	r := &ratioTrace{Trace: t, memoryMB: z.RatioMB, keys: tenfold(uniformItem), rate: z.RatioRate, item: uniformItem}
	switch {
	case t.Small:
		usual := r.keys
		r.memoryMB, r.item = 2*z.RatioMB, smallItem
		r.keys = smallPerMB * r.memoryMB
		r.rate = int(float64(z.RatioRate) * float64(r.keys) / float64(usual))
	case t.Mixed:
		r.keys = tenfold(float64(t.Bytes(sample)) / sample)
	}
	r.warmup, r.counted = int(z.Warmup*float64(r.keys)), int(z.Counted*float64(r.keys))
	r.seeds = make([]ratioSeed, z.RatioSeeds)
	return r
}

// runHitRatio replays all traces on all servers at once: no time is measured, but a replay takes its time. memcached's
// LRU works with seconds: items that stay for less than a few would have another order than with real clients.
func runHitRatio(ctx context.Context, s *session, r *Result) error {
	z := &s.options.Scale
	r.note("-m %d, about ten times as many keys as fit, %d requests/s of each trace, or as the trace says",
		z.RatioMB, z.RatioRate)
	r.note("stay: how long an item is in the cache; memcached's LRU, which works with seconds in a thread of its own, " +
		"needs that to be some seconds")
	columns := []string{"hits in %|%s", "-m|%d", "keys|%d", "counted|%d"}
	for _, name := range s.options.Subjects {
		columns = append(columns, name+"|%.2f")
	}
	t := r.table(append(columns, "strict LRU*|%.2f", "stay s|%.1f", "items in each|%s", "difference|%s",
		"requests per second", "seeds")...)
	var all sync.WaitGroup
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var traces []*ratioTrace
	longest := 0
	for _, kind := range s.options.traces() {
		one := newRatioTrace(kind, z)
		traces, longest = append(traces, one), max(longest, (one.warmup+one.counted)/one.rate)
	}
	s.say(fmt.Sprintf("hit-ratio: %s, %s each, all at once, for %d s or longer",
		tables.Plural(len(traces), "trace"), tables.Plural(z.RatioSeeds, "seed"), longest))
	for _, one := range traces {
		for i := range one.seeds {
			all.Go(func() {
				if err := one.replay(ctx, s, s.options.Seed+uint64(i), &one.seeds[i]); err != nil {
					stop(err) // what the others do is of no use then
				}
			})
		}
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, one := range traces {
		t.add(one.row(s.options.Subjects)...)
	}
	r.verdict("* by simulation, with the same bytes of keys and values as %s held", s.options.Subjects[0])
	return nil
}

// replay puts one trace to all servers, and then to a simulated LRU.
func (t *ratioTrace) replay(ctx context.Context, s *session, seed uint64, to *ratioSeed) error {
	requests := t.Take(t.keys, seed, t.warmup+t.counted)
	for i := range requests {
		if !t.Mixed {
			requests[i].Size = t.item
		}
	}
	n := len(s.subjects)
	to.Hits, to.Items = make([]float64, n), make([]int64, n)
	held, errs := make([]int64, n), make([]error, n)
	var all sync.WaitGroup
	for i := range s.subjects {
		all.Go(func() {
			errs[i] = s.with(ctx, &s.subjects[i], t.memoryMB, func(p *probe) {
				to.Hits[i], to.Items[i], held[i] = p.lookAside(requests, t.warmup, t.rate)
			})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	to.LRU = evictsim.StrictLRU(requests, t.warmup, held[0])
	return nil
}

// lookAside puts the requests to an empty server. held is the bytes of keys and values there at the end.
func (p *probe) lookAside(requests []evictsim.Request, warmup, rate int) (hits float64, items, held int64) {
	p.open(lookAsideKey, uniformItem)
	p.store(0, 1) // to see what a server counts for an item beside its key and value
	header := p.gauge().bytes - lookAsideKey - uniformItem
	p.try(func() error { return p.feed.Remove(0) })
	hits = ask(p, func() (float64, error) { return lookAside(p.ctx, p.Addr, requests, warmup, rate) })
	g := p.gauge()
	return hits, g.items, g.bytes - g.items*header
}

// row is the trace's row in the table: means over the seeds, and how the first server compares with memcached.
func (t *ratioTrace) row(servers []string) []any {
	row := []any{t.Title, t.memoryMB, t.keys, t.counted * len(t.seeds)}
	mean := func(of func(*ratioSeed) float64) (sum float64) {
		for i := range t.seeds {
			sum += 100 * of(&t.seeds[i]) / float64(len(t.seeds))
		}
		return sum
	}
	hits := func(i int) float64 { return mean(func(s *ratioSeed) float64 { return s.Hits[i] }) }
	for i := range servers {
		row = append(row, hits(i))
	}
	// An item stays so long in the first server's cache on the average, if the server keeps up with the rate.
	stay := float64(t.seeds[0].Items[0]) / (float64(t.rate) * max(1-hits(0)/100, 1e-9))
	difference := ""
	if peer := slices.Index(servers, sut.Memcached); peer > 0 {
		var each []float64
		for _, s := range t.seeds {
			each = append(each, 100*(s.Hits[0]-s.Hits[peer]))
		}
		difference = fmt.Sprintf("%+.2f", hits(0)-hits(peer))
		if len(each) > 1 {
			difference += fmt.Sprintf(" (%+.2f..%+.2f)", slices.Min(each), slices.Max(each))
		}
		if hits(0) < hits(peer) {
			difference += " BELOW " + sut.Memcached
		}
	}
	lru, items := mean(func(s *ratioSeed) float64 { return s.LRU }), strings.Trim(fmt.Sprint(t.seeds[0].Items), "[]")
	return append(row, lru, stay, items, difference, t.rate, t.seeds)
}

// lookAsideKey is the size of keys in bytes, and lookAsideGroup how many of them are asked for at once at most.
const lookAsideKey, lookAsideGroup = 20, 32

// lookAside puts requests to a server, rate of them in a second at most, as a client with a cache in front of its data
// does: it gets what is asked for, and stores what it missed. It returns the part of hits after the first warmup
// requests, each of which is checked.
//
// Gets go out in groups, with the sets of what the last group missed in front. A group, which is nothing to a cache of
// thousands of items, never has a key twice: whether the second get hits is up to the first.
func lookAside(ctx context.Context, addr string, requests []evictsim.Request, warmup, rate int) (float64, error) {
	conn, err := load.Endpoint{Addr: addr}.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	c := &aside{Client: conn, values: make(map[uint32]*load.KeySpace)}
	hits := 0
	for start, at := time.Now(), 0; at < len(requests); {
		due := time.Duration(float64(at) / float64(rate) * float64(time.Second))
		if ahead := due - time.Since(start); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		group := nextGroup(requests[at:], warmup-at)
		_ = conn.SetDeadline(time.Now().Add(load.FeedTimeout))
		if _, err := conn.Write(c.appendRequests(nil, group)); err != nil {
			return 0, err
		}
		if err := c.readReplies(group); err != nil {
			return 0, err
		}
		if at >= warmup {
			hits += len(group) - len(c.missed)
		}
		at += len(group)
	}
	return float64(hits) / float64(max(len(requests)-warmup, 1)), nil
}

// nextGroup is the first of the requests, and does not go beyond the end of the warm-up, which is left requests away.
func nextGroup(requests []evictsim.Request, left int) []evictsim.Request {
	most := min(lookAsideGroup, len(requests))
	if left > 0 {
		most = min(most, left)
	}
	for n := range most {
		if slices.ContainsFunc(requests[:n], func(p evictsim.Request) bool { return p.Key == requests[n].Key }) {
			return requests[:n]
		}
	}
	return requests[:most]
}

// aside is a connection that looks aside.
type aside struct {
	*load.Client
	values map[uint32]*load.KeySpace // by the size of items
	missed []evictsim.Request        // by the last group
}

func (c *aside) valuesOf(q evictsim.Request) *load.KeySpace {
	if c.values[q.Size] == nil {
		c.values[q.Size] = load.NewKeySpace(0, lookAsideKey, int(q.Size)-lookAsideKey)
	}
	return c.values[q.Size]
}

// appendRequests appends sets of what was missed, and a get of the group.
func (c *aside) appendRequests(out []byte, group []evictsim.Request) []byte {
	for _, q := range c.missed {
		out = load.AppendItemKey(append(out, "set "...), q.Key, lookAsideKey)
		out = fmt.Appendf(out, " 0 0 %d\r\n", q.Size-lookAsideKey)
		out = append(c.valuesOf(q).AppendValue(out, q.Key), "\r\n"...)
	}
	out = append(out, "get"...)
	for _, q := range group {
		out = load.AppendItemKey(append(out, ' '), q.Key, lookAsideKey)
	}
	return append(out, "\r\n"...)
}

// readReplies reads and checks the replies, and notes what the group missed.
func (c *aside) readReplies(group []evictsim.Request) error {
	for range c.missed {
		if line, err := c.Line(); err != nil || line != "STORED" {
			return cmp.Or(err, fmt.Errorf("the server answered %q to a set", line))
		}
	}
	c.missed = c.missed[:0]
	line, err := c.Line()
	for _, q := range group {
		size := int(q.Size) - lookAsideKey
		if err != nil || line != fmt.Sprintf("VALUE %s 0 %d", load.AppendItemKey(nil, q.Key, lookAsideKey), size) {
			c.missed = append(c.missed, q)
			continue
		}
		data := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(c.In, data); err != nil {
			return err
		}
		if string(data[size:]) != "\r\n" || c.valuesOf(q).Differs(data[:size], q.Key, 0) >= 0 {
			return fmt.Errorf("the value of %q is not what was stored", line)
		}
		line, err = c.Line()
	}
	if err != nil || line != "END" {
		return cmp.Or(err, fmt.Errorf("the server answered %q to a get", line))
	}
	return nil
}
