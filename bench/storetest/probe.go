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

// open is for items with the given bytes of key and value.
func (p *probe) open(key, value int) {
	p.try(func() (err error) {
		p.feed, err = load.OpenFeed(p.ctx, p.Addr, key, value)
		return err
	})
}

func (p *probe) close() {
	if p.feed != nil {
		p.feed.Close()
		p.feed = nil
	}
}

// try does something if nothing went wrong before.
func (p *probe) try(do func() error) {
	if p.err == nil {
		p.err = do()
	}
}

func (p *probe) fail(format string, args ...any) {
	p.try(func() error { return fmt.Errorf(format, args...) })
}

func (p *probe) store(first, n int) { p.try(func() error { return p.feed.Store(first, n) }) }

func (p *probe) gauge() (g sut.Gauge) {
	p.try(func() (err error) {
		g, err = sut.ReadGauge(p.ctx, p.Instance)
		return err
	})
	return g
}

func (p *probe) stats(group string) (stats map[string]string) {
	p.try(func() (err error) {
		stats, err = load.AskStats(p.ctx, p.Addr, group)
		return err
	})
	return stats
}

func (p *probe) number(stats map[string]string, name string) (n int64) {
	p.try(func() (err error) {
		n, err = sut.StatNumber(stats, name)
		return err
	})
	return n
}

// indexTimeout bounds how long a server may go on enlarging its index when nothing is stored any more. indexLook is how often memcached looks whether its
// index is too small, and some more; ringcached's grows with each item.
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
