package storetest

import (
	"context"
	"fmt"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// probe fills a server with items and asks what became of them, until something goes wrong: err says what, and the probe does nothing more.
type probe struct {
	*sut.Instance
	ctx  context.Context
	err  error
	feed *load.Feeder // nil: none is open
}

// ask returns what do gives, if nothing went wrong before.
func ask[T any](p *probe, do func() (T, error)) (v T) {
	if p.err == nil {
		v, p.err = do()
	}
	return v
}

func (p *probe) try(do func() error) { ask(p, func() (any, error) { return nil, do() }) }

func (p *probe) fail(format string, args ...any) {
	p.try(func() error { return fmt.Errorf(format, args...) })
}

// open is for items with the given bytes of key and value.
func (p *probe) open(key, value int) {
	p.feed = ask(p, func() (*load.Feeder, error) { return load.OpenFeed(p.ctx, p.Addr, key, value) })
}

func (p *probe) close() {
	if p.feed != nil {
		p.feed.Close()
	}
}

func (p *probe) store(first, n int) { p.try(func() error { return p.feed.Store(first, n) }) }

func (p *probe) stats(group string) map[string]string {
	return ask(p, func() (map[string]string, error) { return load.AskStats(p.ctx, p.Addr, group) })
}

func (p *probe) number(stats map[string]string, name string) int64 {
	return ask(p, func() (int64, error) { return sut.StatNumber(stats, name) })
}

// gauge is what a server says of its store, and the system of the server.
type gauge struct {
	items, evictions int64
	bytes            int64 // of items, with the server's headers
	index            int64 // bytes of the hash table
	resident         int64 // bytes of the process, 0 if it was not started here
}

func (p *probe) gauge() (g gauge) {
	s := p.stats("")
	g = gauge{items: p.number(s, "curr_items"), evictions: p.number(s, "evictions"), bytes: p.number(s, "bytes"), index: p.number(s, "hash_bytes")}
	if p.Process != nil {
		g.resident = ask(p, func() (int64, error) { return sut.ResidentBytes(p.Process.PID) })
	}
	return g
}

// indexTimeout bounds how long a server may go on enlarging its index when nothing is stored any more. indexLook is how often memcached looks
// whether its index is too small, and some more; ringcached's grows with each item.
const indexTimeout, indexLook = time.Minute, 1500 * time.Millisecond

// awaitIndex waits until the server does not enlarge its index any more, as memcached does in a thread of its own.
func (p *probe) awaitIndex() {
	var look time.Duration
	if p.Name == sut.Memcached {
		look = indexLook
	}
	for began, last := time.Now(), time.Now(); p.err == nil; time.Sleep(20 * time.Millisecond) {
		if p.stats("")["hash_is_expanding"] == "1" {
			last = time.Now()
		} else if time.Since(last) >= look {
			return
		}
		if time.Since(began) > indexTimeout {
			p.fail("the index grows on")
		}
	}
}
