package proto_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/store"
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

// fillUp stores values of size bytes, under full0, full1 and so on, until there is no memory for one more.
func (w *worker) fillUp(size int) {
	for i, stored := 0, "STORED\r\n"; stored == "STORED\r\n"; i++ {
		stored = w.ask(fmt.Sprintf("set full%d 0 0 %d\r\n%s\r\n", i, size, strings.Repeat("f", size)))
	}
}

// TestUploadWaitsForOthers: a value that gets no memory, though uploads hold less than they may, waits for what the others hold, and is refused if
// they keep it.
func TestUploadWaitsForOthers(t *testing.T) {
	const conns, size, piece = 4, 900_000, 10_000
	for _, leave := range []bool{true, false} {
		w := newWorker(t, func(c *store.Config) { c.Limit, c.NoEvict = 8<<20, true }, nil)
		w.fillUp(size) // and never evicted
		w.ask("delete full0\r\ndelete full1\r\n")
		w.out.Reset()
		sent := make(map[uint32]int)
		for conn := uint32(1); conn <= conns; conn++ {
			w.Open(conn, 0)
			w.Data(conn, fmt.Appendf(nil, "set key%d 0 0 %d\r\n", conn, size), &w.out)
			sent[conn] = 0
		}
		send := func(conn uint32) (waits bool) {
			n, next := w.Data(conn, []byte(strings.Repeat("x", min(piece, size-sent[conn]))), &w.out)
			sent[conn] += n
			return next == contract.Wait
		}
		waiter := uint32(0)
		for turn := 0; waiter == 0 && len(w.out.Bytes) == 0; turn++ {
			if conn := uint32(1 + turn%conns); send(conn) {
				waiter = conn
			}
		}
		if held, most, _ := uploadsOf(t, w); waiter == 0 || held > most {
			t.Fatalf("connection %d waits; %d bytes of %d are held; replies %q", waiter, held, most, w.out.Bytes)
		}
		for conn := uint32(1); conn <= conns && leave; conn++ {
			if conn != waiter {
				w.Closed(conn, contract.ReasonNormal)
			}
		}
		want := map[bool]string{true: "STORED\r\n", false: "SERVER_ERROR out of memory storing object\r\n"}[leave]
		for end := time.Now().Add(30 * time.Second); len(w.out.Bytes) == 0 && time.Now().Before(end); {
			switch {
			case sent[waiter] == size:
				w.Data(waiter, []byte("\r\n"), &w.out)
			case send(waiter):
				time.Sleep(time.Millisecond)
			}
		}
		if got := string(w.out.Bytes); got != want {
			t.Errorf("others leave %v: %q, want %q", leave, got, want)
		}
	}
}

// TestUploadLacksItsEnd: where there is memory for all of a value but the "\r\n" behind it, which binary clients do not send, the value waits for that
// and is refused. Of the sizes around, smaller ones fit.
func TestUploadLacksItsEnd(t *testing.T) {
	const came = 400_000 // evidence enough for a chunk of the largest size
	counts := make(map[byte]int)
	for size := 2*store.ChunkMax - 73; size <= 2*store.ChunkMax-69; size++ {
		w := newWorker(t, func(c *store.Config) { c.Limit, c.NoEvict, c.ItemMax = 8<<20, true, 4<<20 }, nil)
		w.Open(1, 0)
		w.Open(2, 0)
		value := []byte(strings.Repeat("v", size))
		set := append([]byte{0x80, 1, 0, 3, 8, 0, 0, 0}, make([]byte, 24)...) // opaque, CAS, flags and expiry are 0
		binary.BigEndian.PutUint32(set[8:], uint32(size+11))
		w.Data(1, slices.Concat(set, []byte("key"), value[:came]), &w.out)
		w.Data(2, fmt.Appendf(nil, "set holds 0 0 1000000\r\n%s", value[:came]), &w.out)
		for i, stored := 0, "STORED\r\n"; stored == "STORED\r\n"; i++ {
			stored = w.ask(fmt.Sprintf("set full%d 0 0 %d\r\n%s\r\n", i, store.ChunkMax-100, value[:store.ChunkMax-100]))
		}
		w.ask("delete full0\r\n") // memory for one chunk
		w.out.Reset()
		for end, sent := time.Now().Add(30*time.Second), came; len(w.out.Bytes) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			n, _ := w.Data(1, value[sent:], &w.out)
			sent += n
		}
		if len(w.out.Bytes) < 24 {
			t.Fatalf("%d bytes: no reply", size)
		}
		counts[w.out.Bytes[7]]++
	}
	if stored, lacks := counts[0], counts[0x82]; stored == 0 || lacks < 2 || stored+lacks != 5 {
		t.Errorf("replies by status: %v", counts)
	}
}

// TestUploadOutlivesRefusal: a value that is refused while no upload holds memory is no reason to give up an upload that comes later and pauses; one
// that is refused while an upload has stalled is.
func TestUploadOutlivesRefusal(t *testing.T) {
	const size = 900_000
	w := newWorker(t, func(c *store.Config) { c.Limit, c.NoEvict = 8<<20, true }, nil)
	set := func() string {
		return w.ask(fmt.Sprintf("set other 0 0 %d\r\n%s\r\n", size, strings.Repeat("f", size)))
	}
	w.fillUp(size)
	given := 0
	pause := func() {
		for range 4 {
			time.Sleep(60 * time.Millisecond)
			w.EndBatch()
			w.Unwanted(func(conn uint32, _, _ bool) bool {
				given++
				w.Closed(conn, contract.ReasonNormal)
				return true
			})
		}
	}
	if reply := set(); !strings.HasPrefix(reply, "SERVER_ERROR out of memory") {
		t.Fatalf("a full store answered %q", reply)
	}
	w.ask("delete full0\r\n")
	w.Open(1, 0)
	w.Data(1, fmt.Appendf(nil, "set key 0 0 %d\r\nxxxx", size), &w.out)
	pause()
	if held, _, _ := uploadsOf(t, w); given != 0 || held == 0 {
		t.Fatalf("an upload that paused was given up, for a value that was refused before it came (it holds %d bytes)", held)
	}
	if reply := set(); !strings.HasPrefix(reply, "SERVER_ERROR out of memory") {
		t.Fatalf("a full store answered %q", reply)
	}
	pause()
	if given != 1 {
		t.Fatalf("%d uploads were given up for a value that found no memory", given)
	}
}
