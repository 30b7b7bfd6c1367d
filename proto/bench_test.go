package proto_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/store"
)

// sample is a request stream on a worker that knows the keys k0...k999 with 64 bytes each.
func sample(t testing.TB, request func(i int) string, pipeline int) (*worker, [][]byte) {
	w := newWorker(t, nil, nil)
	var inputs [][]byte
	for i := range 1000 {
		w.ask(fmt.Sprintf("set memtier-%d 0 0 64\r\n%s\r\n", i, strings.Repeat("v", 64)))
		var in strings.Builder
		for j := range pipeline {
			in.WriteString(request((i*7 + j*13) % 1000))
		}
		inputs = append(inputs, []byte(in.String()))
	}
	w.out = conversation.Output{Bytes: make([]byte, 0, 1<<20)}
	if request(0)[0] == 0x80 {
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0) // the first byte decides on the protocol
	}
	return w, inputs
}

func getHit(i int) string  { return fmt.Sprintf("get memtier-%d\r\n", i) }
func getsHit(i int) string { return fmt.Sprintf("gets memtier-%d\r\n", i) }
func getMiss(i int) string { return fmt.Sprintf("get nothing-%d\r\n", i) }
func setSmall(i int) string {
	return fmt.Sprintf("set memtier-%d 0 0 64\r\n%s\r\n", i, strings.Repeat("w", 64))
}
func multiget(i int) string {
	var b strings.Builder
	b.WriteString("get")
	for j := range 100 {
		fmt.Fprintf(&b, " memtier-%d", (i+j)%1000)
	}
	return b.String() + "\r\n"
}

func metaGetHit(i int) string { return fmt.Sprintf("mg memtier-%d v f t\r\n", i) }
func metaSetSmall(i int) string {
	return fmt.Sprintf("ms memtier-%d 64 T0 F5 O123\r\n%s\r\n", i, strings.Repeat("w", 64))
}

// request is a binary request.
func request(opcode uint8, cas uint64, extras, key, value string) string {
	b := []byte{0x80, opcode}
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, uint8(len(extras)), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = append(b, "tag."...)
	b = binary.BigEndian.AppendUint64(b, cas)
	return string(b) + extras + key + value
}

func frameGetHit(i int) string { return request(0x00, 0, "", fmt.Sprintf("memtier-%d", i), "") }
func frameSetSmall(i int) string {
	return request(0x01, 0, "\x00\x00\x00\x05\x00\x00\x00\x00", fmt.Sprintf("memtier-%d", i), strings.Repeat("w", 64))
}

// all presents in until it is consumed.
func (w *worker) all(in []byte) {
	for len(in) > 0 {
		n, next := w.Data(0, in, &w.out)
		if next == contract.Close || n == 0 {
			w.t.Fatal("stuck")
		}
		in = in[n:]
	}
	w.EndBatch()
	w.out.Reset()
}

// processTime is the processor time used so far. On a machine with other work it says more than the clock on the wall.
func processTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct {
		name    string
		request func(int) string
	}{
		{"get", getHit}, {"gets", getsHit}, {"miss", getMiss}, {"set", setSmall}, {"get100keys", multiget},
		{"mg", metaGetHit}, {"ms", metaSetSmall}, {"Get", frameGetHit}, {"Set", frameSetSmall},
	} {
		for _, pipeline := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/pipeline=%d", c.name, pipeline), func(b *testing.B) {
				w, inputs := sample(b, c.request, pipeline)
				b.ReportAllocs()
				before := processTime(b)
				for i := 0; b.Loop(); i++ {
					w.all(inputs[i%len(inputs)])
				}
				b.ReportMetric(float64(processTime(b)-before)/float64(b.N)/float64(pipeline), "cpu-ns/request")
			})
		}
	}
}

// BenchmarkColdKeys asks a store of a million items, which no cache of a processor holds, for keys in no order. A request is all that a client
// sends at once. The figure is per key. With huge pages (-L) no item costs the processor a walk through page tables.
func BenchmarkColdKeys(b *testing.B) {
	b.Run("pages=4k", func(b *testing.B) { coldKeys(b, false) })
	b.Run("pages=huge", func(b *testing.B) { coldKeys(b, true) })
}

func coldKeys(b *testing.B, huge bool) {
	const items = 1 << 20
	key := func(i int) string { return fmt.Sprintf("key:%016d", i) }
	w := newWorker(b, func(c *store.Config) { c.Limit, c.HugePages = 512<<20, huge }, nil)
	line := strings.Repeat("v", 64)
	for i := range items {
		w.ask(fmt.Sprintf("set %s 0 0 64\r\n%s\r\n", key(i), line))
	}
	for range 4 { // until nothing has to be noted of a use, as of items in frequent use
		for i := range items {
			w.ask("get " + key(i) + "\r\n")
		}
	}
	w.out = conversation.Output{Bytes: make([]byte, 0, 1<<20)}
	repeated := func(format string) func(keys []int) string {
		return func(keys []int) string {
			var in strings.Builder
			for _, k := range keys {
				fmt.Fprintf(&in, format, key(k))
			}
			return in.String()
		}
	}
	multi := func(name string) func(keys []int) string {
		return func(keys []int) string { return name + repeated(" %s")(keys) + "\r\n" }
	}
	frames := func(keys []int) string {
		var in strings.Builder
		for _, k := range keys {
			in.WriteString(request(0x0d, 0, "", key(k), ""))
		}
		return in.String() + request(0x0a, 0, "", "", "")
	}
	for _, c := range []struct {
		name string
		keys int
		make func(keys []int) string
	}{
		{"get", 100, multi("get")}, {"gets", 100, multi("gets")}, {"get", 1, multi("get")}, {"pipeline", 16, repeated("get %s\r\n")},
		{"mg", 16, repeated("mg %s k v\r\n")}, {"mg", 100, repeated("mg %s k v\r\n")}, {"mg-f-t", 16, repeated("mg %s v f t\r\n")}, {"GetKQ", 16, frames}, {"GetKQ", 100, frames},
	} {
		b.Run(fmt.Sprintf("%s/keys=%d", c.name, c.keys), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			inputs := make([][]byte, items/2/c.keys/4)
			for i := range inputs {
				keys := make([]int, c.keys)
				for j := range keys {
					keys[j] = random.IntN(items)
				}
				inputs[i] = []byte(c.make(keys))
			}
			w.Closed(0, contract.ReasonNormal)
			w.Open(0, 0)
			b.ReportAllocs()
			before := processTime(b)
			for i := 0; b.Loop(); i++ {
				w.all(inputs[i%len(inputs)])
			}
			b.ReportMetric(float64(processTime(b)-before)/float64(b.N)/float64(c.keys), "cpu-ns/key")
		})
	}
}
