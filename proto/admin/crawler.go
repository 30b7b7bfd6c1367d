package admin

import (
	"bytes"
	"math"
	"strconv"
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
	run    func(w *Worker, r Request) Answer
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

// Crawler answers `lru_crawler <command> ...`.
func (w *Worker) Crawler(r Request) Answer {
	for i := range crawlerCommands {
		c := &crawlerCommands[i]
		if c.name == string(r.Arg(1)) && c.tokens == r.Given() {
			return c.run(w, r)
		}
	}
	return refuse(replyError)
}

// crawler frees dead items when a command begins a crawl. Server.Maintain does its work.
type crawler struct {
	mu sync.Mutex
	crawlerSettings
	crawl *store.Crawl // nil: none is under way
}

// crawlerSettings are what commands change.
type crawlerSettings struct {
	enabled bool
	pause   time.Duration // between two slices
	most    uint32        // items of a class that a crawl looks at, 0 for all
}

// crawlSteps is how many steps of some dozen items a crawl makes in a slice: about a thousand items, as memcached between two sleeps.
const crawlSteps = 128

// begin begins a crawl. False: another one is under way.
func (c *crawler) begin(classes store.ClassSet) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crawl != nil {
		return false
	}
	c.crawl = store.NewCrawl(classes, c.most)
	return true
}

// slice goes on with the crawl. It returns whether there is more to do, and how long to wait before that.
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

// crawling says that a crawl or a dump is under way.
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
func crawlerEnable(enable bool) func(*Worker, Request) Answer {
	return func(w *Worker, r Request) Answer {
		c := &w.srv.crawler
		c.change(func() {
			if c.enabled = enable; !enable {
				c.crawl = nil
			}
		})
		w.srv.wakeMaintenance()
		return say(replyOK)
	}
}

// crawlerSleep answers `lru_crawler sleep <microseconds>`.
func crawlerSleep(w *Worker, r Request) Answer {
	us, ok := r.Uint(2, math.MaxUint32)
	switch {
	case !ok:
		return refuse(replyBadFormat)
	case us > 1_000_000:
		return refuse(replyLongSleep)
	}
	c := &w.srv.crawler
	c.change(func() { c.pause = time.Duration(us) * time.Microsecond })
	return say(replyOK)
}

// crawlerToCrawl answers `lru_crawler tocrawl <items>`.
func crawlerToCrawl(w *Worker, r Request) Answer {
	most, ok := r.Uint(2, math.MaxUint32)
	if !ok {
		return refuse(replyBadFormat)
	}
	c := &w.srv.crawler
	c.change(func() { c.most = uint32(most) })
	return say(replyOK)
}

// crawlerCrawl answers `lru_crawler crawl <classes>`.
func crawlerCrawl(w *Worker, r Request) Answer {
	c := &w.srv.crawler
	if !c.settings().enabled {
		return refuse(replyCrawlerOff)
	}
	classes, wrong := parseClasses(r.Arg(2))
	switch {
	case string(r.Arg(2)) == hashOrder:
		return refuse(replyCrawlerHash) // only a dump can go that way
	case wrong != "":
		return refuse(wrong)
	case !c.begin(classes):
		return refuse(replyCrawlerBusy)
	}
	w.tally.Add(crawlerStarts)
	w.srv.wakeMaintenance()
	return say(replyOK)
}

// crawlerDump makes `lru_crawler metadump <classes>` or `mgdump`. A dump of all classes goes over the index, as
// memcached's does for hash.
func crawlerDump(line func(*Worker, []byte, store.Item) []byte, end, refused string) func(*Worker, Request) Answer {
	return func(w *Worker, r Request) Answer {
		if !w.srv.crawler.settings().enabled {
			return refuse(replyCrawlerOff)
		}
		if w.srv.config.Settings.DumpDisabled {
			return refuse(refused)
		}
		classes, wrong := store.AllClasses, ""
		if string(r.Arg(2)) != hashOrder {
			classes, wrong = parseClasses(r.Arg(2))
		}
		switch {
		case wrong != "":
			return refuse(wrong)
		case r.Quiet():
			return Answer{} // nobody wants to see the dump
		}
		return w.beginDump(dump(classes, line, end))
	}
}

// hashOrder in the place of classes means all of them, in the order of the index.
const hashOrder = "hash"

// longestClass is the longest number of a class that is looked at, in bytes with leading zeros, as in memcached.
const longestClass = 11

// parseClasses reads class ids with commas between them, or `all`. wrong is the reply to what is neither, "" if nothing is wrong. There may be
// commas too many, as in memcached.
func parseClasses(b []byte) (classes store.ClassSet, wrong string) {
	if string(b) == "all" {
		return store.AllClasses, ""
	}
	for id := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == ',' }) {
		n, err := strconv.ParseUint(string(id), 10, 64)
		if err != nil || n == 0 || n >= maxClasses || len(id) > longestClass {
			return 0, replyCrawlerClass
		}
		classes |= 1 << n
	}
	return classes, choose(classes == 0, replyCrawlerNone, "")
}
