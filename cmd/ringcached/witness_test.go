package main

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// witness knows what the server may have for some keys, which nobody else writes: for each the version that it acknowledged last, and those
// that were sent since. What a version is follows from the key and its number. It is used by one goroutine.
type witness struct {
	records []*record
	err     error // of write: the server answered what it must not
}

type record struct {
	key     string
	counts  bool  // version n is the number n, made by incr
	sure    int   // the version that was acknowledged, 0 for none
	pending []int // sent since, in this order
	last    int   // the highest number of a version that was ever sent
}

// newWitness is for n keys that begin with name.
func newWitness(name string, n int) *witness {
	w := &witness{}
	for i := range n {
		w.records = append(w.records, &record{key: fmt.Sprint(name, i), counts: i%16 == 0})
	}
	return w
}

// Three kinds of versions are not plain.
const (
	kinds    = 16
	deleted  = 3
	timed    = 5 // expires in an hour
	fleeting = 7 // expires in a second, and may be gone from its beginning
)

func (r *record) kind(version int) int {
	if r.counts {
		return 0
	}
	return version % kinds
}

func (r *record) mayBeAbsent(version int) bool {
	return version == 0 || r.kind(version) == deleted || r.kind(version) == fleeting
}

// value is that of a version.
func (r *record) value(version int) []byte {
	if r.counts {
		return fmt.Appendf(nil, "%010d", version)
	}
	seed := fnv.New64a()
	_, _ = io.WriteString(seed, r.key)
	random := rand.New(rand.NewPCG(seed.Sum64(), uint64(version)))
	n := random.IntN(300)
	switch random.IntN(1000) {
	case 0:
		n = 600_000
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
		n *= 100
	}
	value := fmt.Appendf(nil, "%s %d ", r.key, version)
	for len(value) < n {
		value = fmt.Appendf(value, "%016x", random.Uint64())
	}
	return value
}

// request is what makes the next version, and notes it as sent.
func (r *record) request() []byte {
	r.last++
	r.pending = append(r.pending, r.last)
	exptime := 0
	switch kind := r.kind(r.last); {
	case r.counts && r.last > 1:
		return fmt.Appendf(nil, "incr %s 1\r\n", r.key)
	case kind == deleted:
		return fmt.Appendf(nil, "delete %s\r\n", r.key)
	case kind == timed:
		exptime = 3600
	case kind == fleeting:
		exptime = 1
	}
	value := r.value(r.last)
	return fmt.Appendf(nil, "set %s 77 %d %d\r\n%s\r\n", r.key, exptime, len(value), value)
}

// acknowledge takes the reply to the first request that has none.
func (r *record) acknowledge(reply string) error {
	version := r.pending[0]
	want := "STORED"
	switch {
	case r.counts && version > 1:
		want = fmt.Sprint(version)
	case r.kind(version) == deleted:
		want = "DELETED"
		if reply == "NOT_FOUND" && r.mayBeAbsent(r.sure) {
			want = reply
		}
	}
	if reply != want {
		return fmt.Errorf("%s: %q to version %d, want %q", r.key, reply, version, want)
	}
	r.sure, r.pending = version, r.pending[1:]
	return nil
}

// write sends batches of requests until the connection ends.
func (w *witness) write(conn net.Conn) {
	in := bufio.NewReader(conn)
	for w.err == nil {
		var batch []*record
		var out []byte
		for range 1 + rand.IntN(20) {
			r := w.records[rand.IntN(len(w.records))]
			batch = append(batch, r)
			out = append(out, r.request()...)
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
		for _, r := range batch {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if err := r.acknowledge(strings.TrimSpace(line)); err != nil {
				w.err = err
				return
			}
		}
	}
}

// check looks at all keys of a server that nobody uses. empty says that the server says that it has none. What is found is what is sure.
func (w *witness) check(t *testing.T, server *servertest.Server, empty bool) {
	t.Helper()
	if w.err != nil {
		t.Fatal(w.err)
	}
	conn := server.Dial(t)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second * servertest.Slow))
	in := bufio.NewReaderSize(conn, 1<<16)
	const atATime = 50
	for some := w.records; len(some) > 0; some = some[min(atATime, len(some)):] {
		line := []byte("get")
		for _, r := range some[:min(atATime, len(some))] {
			line = append(line, " "+r.key...)
		}
		if _, err := conn.Write(append(line, "\r\n"...)); err != nil {
			t.Fatal(err)
		}
		found := readValues(t, in)
		for _, r := range some[:min(atATime, len(some))] {
			value, there := found[r.key]
			if err := r.settle(value, there, empty); err != nil {
				t.Fatalf("%v\n%s", err, server.Log())
			}
		}
	}
}

// readValues reads the answer to a get.
func readValues(t *testing.T, in *bufio.Reader) map[string][]byte {
	t.Helper()
	values := map[string][]byte{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "END\r\n" {
			return values
		}
		var key string
		var n int
		if !scans(line, "VALUE %s 77 %d", &key, &n) {
			t.Fatalf("%q", line)
		}
		value := make([]byte, n+len("\r\n"))
		if _, err := io.ReadFull(in, value); err != nil {
			t.Fatal(err)
		}
		values[key] = bytes.TrimRight(value, "\r\n ")
	}
}

// settle compares what was found with what there may be, and makes it what is sure.
func (r *record) settle(value []byte, there, empty bool) error {
	possible := append([]int{r.sure}, r.pending...)
	r.pending = nil
	if !there {
		absent := empty
		for _, version := range possible {
			absent = absent || r.mayBeAbsent(version)
		}
		if !absent {
			return fmt.Errorf("%s is lost: there must be one of its versions %v", r.key, possible)
		}
		r.sure = 0
	} else {
		at := -1
		for i, version := range possible {
			if version > 0 && r.kind(version) != deleted && r.is(value, version) {
				at = i
			}
		}
		if empty || at < 0 {
			return fmt.Errorf("%s is %.60q of %d bytes; there may be one of its versions %v, empty: %v", r.key, value, len(value), possible, empty)
		}
		r.sure = possible[at]
	}
	if r.counts {
		r.last = r.sure
	}
	return nil
}

// is compares a value with that of a version. What incr makes is as long as what was there, with spaces, which the reader cut off, or zeros.
func (r *record) is(value []byte, version int) bool {
	if r.counts {
		return string(bytes.TrimLeft(value, "0")) == fmt.Sprint(version)
	}
	return bytes.Equal(value, bytes.TrimRight(r.value(version), " "))
}
