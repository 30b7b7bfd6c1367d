package proto

import (
	"bytes"
	"math"
	"sync"
	"time"

	"ringcached/store"
)

const (
	replyCrawlerOff   = "CLIENT_ERROR lru crawler disabled\r\n"
	replyCrawlerBusy  = "BUSY currently processing crawler request\r\n"
	replyCrawlerClass = "BADCLASS invalid class id\r\n"
	replyCrawlerNone  = "NOTSTARTED no items to crawl\r\n"
	replyCrawlerHash  = "ERROR an unknown error happened\r\n"
	replyLongSleep    = "CLIENT_ERROR sleep must be one second or less\r\n"
	replyNoMetadump   = "ERROR metadump not allowed\r\n"
	replyNoMgdump     = "ERROR key dump not allowed\r\n"
)

// crawlerCommand is a row of the table: what may stand behind `lru_crawler`.
type crawlerCommand struct {
	name   string
	tokens int // in the line
	run    func(w *Worker, s *session, r *request) (int, step)
}

var crawlerCommands = []crawlerCommand{
	{"enable", 2, crawlerEnable(true)},
	{"disable", 2, crawlerEnable(false)},
	{"sleep", 3, crawlerSleep},
	{"tocrawl", 3, crawlerToCrawl},
	{"crawl", 3, crawlerCrawl},
	{"metadump", 3, crawlerDump(appendMetadump, replyEnd, replyNoMetadump)},
	{"mgdump", 3, crawlerDump(appendMetaGet, replyEndMeta, replyNoMgdump)},
}

// lruCrawler answers `lru_crawler <command> ...`.
func lruCrawler(w *Worker, s *session, r *request) (int, step) {
	for i := range crawlerCommands {
		c := &crawlerCommands[i]
		if c.name == string(r.arg(1)) && c.tokens == r.given() {
			return c.run(w, s, r)
		}
	}
	return w.reply(r, replyError)
}

// crawler frees what is dead, when it is told to. Its work is done by Server.Maintain.
type crawler struct {
	mu sync.Mutex
	crawlerSettings
	crawl *store.Crawl // nil: there is nothing to do
}

// crawlerSettings are what commands change.
type crawlerSettings struct {
	enabled bool
	pause   time.Duration // between two slices
	most    uint32        // items of a class that a crawl looks at, 0 for all
}

// crawlSteps is how many steps of some dozen items a crawl goes in a slice: about a thousand items, as memcached between two sleeps.
const crawlSteps = 128

// begin starts a crawl, and says whether it could: not while there is one.
func (c *crawler) begin(classes store.ClassSet) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crawl != nil {
		return false
	}
	c.crawl = store.NewCrawl(classes, c.most)
	return true
}

// slice goes on with the crawl, and says whether there is more to do, and how long to wait before.
func (c *crawler) slice(st *store.Store) (pause time.Duration, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crawl != nil && !st.Crawl(c.crawl, crawlSteps) {
		c.crawl = nil
	}
	return c.pause, c.crawl != nil
}

func (c *crawler) settings() crawlerSettings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crawlerSettings
}

// crawling says that there is a crawl or a dump.
func (s *Server) crawling() bool {
	s.crawler.mu.Lock()
	defer s.crawler.mu.Unlock()
	return s.crawler.crawl != nil || s.dumps.running() > 0
}

// change lets f change the settings.
func (c *crawler) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// crawlerEnable makes `lru_crawler enable` or `disable`, which also ends a crawl.
func crawlerEnable(enable bool) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, _ *session, r *request) (int, step) {
		c := &w.srv.crawler
		c.change(func() {
			if c.enabled = enable; !enable {
				c.crawl = nil
			}
		})
		w.srv.wakeMaintenance()
		return w.reply(r, replyOK)
	}
}

// crawlerSleep answers `lru_crawler sleep <microseconds>`.
func crawlerSleep(w *Worker, _ *session, r *request) (int, step) {
	us, ok := parseUint(r.arg(2), math.MaxUint32)
	switch {
	case !ok:
		return w.reply(r, replyBadFormat)
	case us > 1_000_000:
		return w.reply(r, replyLongSleep)
	}
	c := &w.srv.crawler
	c.change(func() { c.pause = time.Duration(us) * time.Microsecond })
	return w.reply(r, replyOK)
}

// crawlerToCrawl answers `lru_crawler tocrawl <items>`.
func crawlerToCrawl(w *Worker, _ *session, r *request) (int, step) {
	most, ok := parseUint(r.arg(2), math.MaxUint32)
	if !ok {
		return w.reply(r, replyBadFormat)
	}
	c := &w.srv.crawler
	c.change(func() { c.most = uint32(most) })
	return w.reply(r, replyOK)
}

// crawlerCrawl answers `lru_crawler crawl <classes>`.
func crawlerCrawl(w *Worker, _ *session, r *request) (int, step) {
	c := &w.srv.crawler
	if !c.settings().enabled {
		return w.reply(r, replyCrawlerOff)
	}
	classes, wrong := parseClasses(r.arg(2))
	switch {
	case string(r.arg(2)) == hashOrder:
		return w.reply(r, replyCrawlerHash) // only a dump can go that way
	case wrong != "":
		return w.reply(r, wrong)
	case !c.begin(classes):
		return w.reply(r, replyCrawlerBusy)
	}
	w.tally.add(crawlerStarts)
	w.srv.wakeMaintenance()
	return w.reply(r, replyOK)
}

// crawlerDump makes `lru_crawler metadump <classes>` or `mgdump`. All classes are dumped by a walk over the index, which memcached does for
// hash.
func crawlerDump(line func(*Worker, []byte, store.Item) []byte, end, refused string) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, s *session, r *request) (int, step) {
		if !w.srv.crawler.settings().enabled {
			return w.reply(r, replyCrawlerOff)
		}
		if w.srv.config.Settings.DumpDisabled {
			return w.reply(r, refused)
		}
		classes, wrong := store.AllClasses, ""
		if string(r.arg(2)) != hashOrder {
			classes, wrong = parseClasses(r.arg(2))
		}
		switch {
		case wrong != "":
			return w.reply(r, wrong)
		case r.quiet:
			return r.size, stepDone // somebody who does not want to hear of it
		}
		return w.startDump(s, r, dump(classes, line, end))
	}
}

// hashOrder in the place of classes means all of them, in the order of the index.
const hashOrder = "hash"

// parseClasses reads class ids with commas between them, or `all`. wrong is the reply to what is neither, "" if there is nothing wrong. As in
// memcached there may be commas too many.
func parseClasses(b []byte) (classes store.ClassSet, wrong string) {
	if string(b) == "all" {
		return store.AllClasses, ""
	}
	for id := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == ',' }) {
		n, ok := parseUint(id, maxClasses-1)
		if !ok || n == 0 {
			return 0, replyCrawlerClass
		}
		classes |= 1 << n
	}
	return classes, choose(classes == 0, replyCrawlerNone, "")
}
