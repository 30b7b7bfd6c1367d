package proto_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ringcached/internal/contract"
)

// uploadsOf reads the statistics of values that are on their way, with a connection of their own.
func uploadsOf(t *testing.T, w *worker) (held, most, kicks int) {
	t.Helper()
	const conn = 9999
	w.Open(conn, 0)
	defer w.Closed(conn, contract.ReasonNormal)
	w.EndBatch()
	w.out.Reset()
	w.Data(conn, []byte("stats\r\n"), &w.out)
	for name, value := range map[string]*int{"upload_bytes": &held, "upload_maxbytes": &most, "upload_kicks": &kicks} {
		_, rest, ok := strings.Cut(string(w.out.Bytes), "STAT "+name+" ")
		if _, err := fmt.Sscan(rest, value); !ok || err != nil {
			t.Fatalf("no %s: %v", name, err)
		}
	}
	w.out.Reset()
	return held, most, kicks
}

// TestUploadsAreBounded: values that are on their way hold no more than they may, whatever connections do, and nothing when all are gone.
func TestUploadsAreBounded(t *testing.T) {
	w := newWorker(t, nil, nil)
	const conns = 400
	open := map[uint32]bool{}
	end := func(conn uint32, idle, sure bool) bool {
		if idle {
			t.Error("idle")
		}
		w.Closed(conn, contract.ReasonNormal)
		delete(open, conn)
		return true
	}
	ended := 0
	waited := false
	for round := range 3000 {
		conn := uint32(1 + rand.IntN(conns))
		if !open[conn] {
			w.Open(conn, 0)
			open[conn] = true
			w.Data(conn, fmt.Appendf(nil, "set key%d 0 0 %d\r\n", conn, 1000<<rand.IntN(10)), &w.out)
		}
		_, next := w.Data(conn, []byte(strings.Repeat("x", rand.IntN(40_000))), &w.out)
		waited = waited || next == contract.Wait
		if next == contract.Crowded || next == contract.Wait {
			before := len(open)
			w.Unwanted(end)
			ended += before - len(open)
		}
		w.out.Reset()
		if next == contract.Close && open[conn] {
			w.Closed(conn, contract.ReasonNormal)
			delete(open, conn)
		}
		if round%100 == 0 {
			if held, most, _ := uploadsOf(t, w); held > most+most/2+1<<20 {
				t.Fatalf("they hold %d bytes of %d", held, most)
			}
		}
	}
	if !waited {
		t.Error("there was memory for all of them")
	}
	if _, _, kicks := uploadsOf(t, w); kicks != ended {
		t.Errorf("%d connections were ended, %d counted", ended, kicks)
	}
	for conn := range open {
		w.Closed(conn, contract.ReasonNormal)
	}
	if held, _, _ := uploadsOf(t, w); held != 0 {
		t.Errorf("%d bytes are held when nobody is there", held)
	}
	for _, c := range w.store.Classes() {
		if items := c.Items; items > 0 && w.store.Stats().CurrItems == 0 {
			t.Errorf("class %d has %d items", c.ID, items)
		}
	}
}
