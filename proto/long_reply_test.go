package proto_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/contract"
)

// fillStore sets n keys.
func fillStore(w *worker, n int, exptime string) {
	for i := range n {
		w.ask(fmt.Sprintf("set key%d 0 %s 1 noreply\r\nv\r\n", i, exptime))
	}
}

// TestDumpTakesTurns: a dump of many items fills no more than the replies may hold and one bucket of items, lets others go on, and
// tells every item.
func TestDumpTakesTurns(t *testing.T) {
	w := newWorker(t, nil, nil)
	const keys, limit, bucket = 20_000, 4000, 4000
	fillStore(w, keys, "0")
	w.Open(1, 0)
	w.out.Reset()
	w.out.Limit = limit
	in := []byte("get key0\r\nlru_crawler mgdump all\r\nget key1\r\n")
	told, turns := "", 0
	for next := contract.Yield; next == contract.Yield; turns++ {
		var n int
		n, next = w.Data(0, in, &w.out)
		in = in[n:]
		if len(w.out.Bytes) > limit+bucket {
			t.Fatalf("%d bytes in a turn", len(w.out.Bytes))
		}
		told += string(w.out.Bytes)
		w.EndBatch()
		w.out.Flush(t, w.Worker)
		w.out.Reset()
		if w.Data(1, []byte("get key2\r\n"), &w.out); string(w.out.Bytes) != "VALUE key2 0 1\r\nv\r\nEND\r\n" {
			t.Fatalf("another connection got %q", w.out.Bytes)
		}
		w.out.Flush(t, w.Worker)
		w.out.Reset()
	}
	if len(in) != 0 || turns < 50 {
		t.Errorf("%d turns, %q is left", turns, in)
	}
	lines := strings.Split(told, "\r\n")
	if len(lines) != 3+1+keys+1+3+1 || lines[3] != "OK" || lines[keys+4] != "EN" {
		t.Fatalf("%d lines, from %q to %q", len(lines), lines[:4], lines[len(lines)-5:])
	}
	seen := map[string]bool{}
	for _, line := range lines[4 : keys+4] {
		seen[line] = true
	}
	for i := range keys {
		if !seen[fmt.Sprintf("mg key%d", i)] {
			t.Fatalf("key%d is missing", i)
		}
	}
}

// TestDumpsAbandoned: what connections leave that end in the middle of dumps.
func TestDumpsAbandoned(t *testing.T) {
	w := newWorker(t, nil, nil)
	fillStore(w, 5000, "0")
	for conn := uint32(1); conn <= 3; conn++ {
		w.Open(conn, 0)
		if n, next := w.Data(conn, []byte("lru_crawler metadump all\r\n"), &w.out); n != 25 || next != contract.Yield {
			t.Fatalf("%d, %v", n, next)
		}
	}
	if got := w.stat("lru_crawler_running") + w.stat("lru_crawler_starts"); got != "13" {
		t.Errorf("running, starts: %s", got)
	}
	for conn := uint32(1); conn <= 3; conn++ {
		w.Closed(conn, contract.ReasonNormal)
	}
	if got := w.stat("lru_crawler_running"); got != "0" {
		t.Errorf("running: %s", got)
	}
	if n := w.LongReplies(); n != 0 {
		t.Errorf("%d long replies are kept", n)
	}
	if got := w.ask("stats cachedump 1 1\r\n"); !strings.HasPrefix(got, "ITEM key") || !strings.HasSuffix(got, " s]\r\nEND\r\n") {
		t.Errorf("%q", got)
	}
}

// TestSweep: what expires goes by itself, and what is alive stays; not with the crawler disabled.
func TestSweep(t *testing.T) {
	w := newWorker(t, nil, nil)
	fillStore(w, 3000, "10")
	w.ask("set stays 0 0 1\r\n1\r\n")
	w.store.SetNow(w.store.Now() + 20)
	w.wantReply("lru_crawler disable\r\n", "OK\r\n")
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { w.server.Maintain(ctx) })
	defer work.Wait()
	defer cancel()
	time.Sleep(20 * time.Millisecond) // what must not happen would, mostly
	if n := w.store.Stats(); n.CurrItems != 3001 || n.CrawlerChecked != 0 {
		t.Errorf("%d items, %d looked at with the crawler disabled", n.CurrItems, n.CrawlerChecked)
	}
	w.wantReply("lru_crawler enable\r\n", "OK\r\n")
	for deadline := time.Now().Add(time.Minute); w.store.Stats().CurrItems != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", w.store.Stats())
		}
	}
	for deadline := time.Now().Add(time.Minute); w.stat("crawler_reclaimed") != "3000"; time.Sleep(time.Millisecond) { // counted after a step
		if time.Now().After(deadline) {
			t.Fatalf("%s reclaimed", w.stat("crawler_reclaimed"))
		}
	}
	w.wantReply("get stays\r\n", "VALUE stays 0 1\r\n1\r\nEND\r\n")
}

// TestMaintain: a crawl, a page move and a lower limit are done in the background, and Maintain ends with its context.
func TestMaintain(t *testing.T) {
	w := newWorker(t, nil, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { w.server.Maintain(ctx) })
	defer work.Wait()
	defer cancel()
	wait := func(name, want string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for w.stat(name) != want {
			if time.Now().After(deadline) {
				t.Fatalf("%s is %s, want %s", name, w.stat(name), want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	fillStore(w, 3000, "-1")
	w.wantReply("lru_crawler sleep 0\r\nlru_crawler crawl 1\r\n", "OK\r\nOK\r\n")
	wait("lru_crawler_running", "0")
	wait("crawler_reclaimed", "3000")
	w.wantEmpty()
	fillStore(w, 30_000, "0")
	w.wantReply("slabs reassign 1 3\r\n", "OK\r\n")
	wait("slabs_moved", "1")
	for i := range 600 {
		w.ask(fmt.Sprintf("set large%d 0 0 100000 noreply\r\n%s\r\n", i, strings.Repeat("v", 100_000)))
	}
	w.wantReply("cache_memlimit 8\r\n", "OK\r\n")
	deadline := time.Now().Add(time.Minute)
	for w.store.Stats().Pages != 8 {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", w.store.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}
