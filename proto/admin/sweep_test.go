package admin_test

import (
	"testing"
	"time"

	"ringcached/proto/admin"
)

// TestSweepWhenDue: what has died is found within a second or two, however long nothing had before; and nothing is looked at as long as nothing has.
func TestSweepWhenDue(t *testing.T) {
	w := newRig(t)
	var sweeper admin.Sweeper
	now, second := time.Now().Add(-time.Hour), uint32(2)
	pass := func(seconds uint32) {
		for end := now.Add(time.Duration(seconds) * time.Second); now.Before(end); {
			pause := sweeper.Slice(w.store, now)
			if pause <= 0 || pause > time.Second {
				t.Fatalf("pauses for %v", pause)
			}
			now = now.Add(pause)
		}
		second += seconds
		w.store.SetNow(second)
	}
	want := func(what string, linked, checked uint64) {
		t.Helper()
		if n := w.store.Stats(); n.CurrItems != linked || n.CrawlerChecked != checked {
			t.Errorf("%s: %d items in the index, %d looked at; want %d and %d", what, n.CurrItems, n.CrawlerChecked, linked, checked)
		}
	}
	pass(5)
	w.ask("set a 0 0 1\r\na\r\nset b 0 1000 1\r\nb\r\n")
	pass(900)
	want("while all are alive", 2, 0)
	pass(100)
	pass(3)
	want("when one has expired", 1, 2)
	w.ask("set c 0 -1 1\r\nc\r\n")
	pass(3)
	want("stored dead", 1, 4)
	w.ask("touch a 50\r\n")
	pass(50)
	pass(3)
	want("touched", 0, 5)
	w.ask("set d 0 0 1\r\nd\r\nflush_all 100\r\nset e 0 0 1\r\ne\r\n")
	pass(90)
	want("before a flush", 2, 5)
	pass(10)
	pass(3)
	want("after it", 0, 7)
	pass(1)
	w.ask("set f 0 0 1\r\nf\r\nflush_all\r\n")
	for n := 0; w.store.Stats().CurrItems > 0 && n < 100; n++ {
		sweeper.Slice(w.store, now) // without any time to rest
		now = now.Add(100 * time.Millisecond)
	}
	want("after one at once", 0, 8)
}
