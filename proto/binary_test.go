package proto_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/store"
)

// storeExtras are the extras of Set: no flags, no expiry.
const storeExtras = "\x00\x00\x00\x00\x00\x00\x00\x00"

// reply is a reply to what request makes.
func reply(opcode uint8, status uint16, value string) string {
	b := []byte{0x81, opcode, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, status)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return string(append(b, "tag.\x00\x00\x00\x00\x00\x00\x00\x00"...)) + value
}

// frames cuts replies, and shows each as its status and what is behind the header.
func frames(t *testing.T, b []byte) (all []string) {
	t.Helper()
	for len(b) > 0 {
		n := 24 + int(binary.BigEndian.Uint32(b[8:]))
		all = append(all, fmt.Sprintf("%d %s", binary.BigEndian.Uint16(b[6:]), b[24:n]))
		b = b[n:]
	}
	return all
}

func (w *worker) wantFrames(in string, want ...string) {
	w.t.Helper()
	w.ask(in)
	if got := frames(w.t.(*testing.T), w.out.Bytes); strings.Join(got, "|") != strings.Join(want, "|") {
		w.t.Errorf("got %q, want %q", got, want)
	}
}

// TestLeftOver: of a request that is not complete at most header, extras and key are left to the caller, and none of the value.
func TestLeftOver(t *testing.T) {
	w := newWorker(t, nil, nil)
	key := strings.Repeat("k", 250)
	in := request(0x01, 0, storeExtras, key, strings.Repeat("v", 100_000))
	const head = 24 + 8 + 250
	for _, cut := range []int{1, 23, 24, 25, head - 1} {
		if n, next := w.data(in[:cut]); n != 0 || next != contract.More {
			t.Fatalf("%d bytes: n=%d next=%v", cut, n, next)
		}
	}
	for _, cut := range []int{head, head + 1, 50_000, len(in) - 1, len(in)} {
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		want := contract.Upload
		if len(in)-cut < proto.UploadLeast {
			want = contract.More
		}
		if n, next := w.data(in[:cut]); n != cut || next != want {
			t.Fatalf("%d bytes: n=%d next=%v", cut, n, next)
		}
	}
	// What is known to be wrong from the header is said before the rest has come.
	w.Closed(0, contract.ReasonNormal)
	w.Open(0, 0)
	if n, next := w.data(request(0x00, 0, "", strings.Repeat("k", 251), "")[:24]); n != 24 || next != contract.Close {
		t.Fatalf("n=%d next=%v", n, next)
	}
}

// TestBinaryReceiveInPlace fills an upload the way a ring does that receives straight into memory.
func TestBinaryReceiveInPlace(t *testing.T) {
	for _, size := range []int{10, 1_000_000, 5_000_000} {
		w := newWorker(t, func(c *store.Config) { c.ItemMax = 8 << 20 }, nil)
		value := strings.Repeat("r", size)
		in := request(0x01, 0, storeExtras, "a", value)
		w.data(in[:24+8+1+5])
		for rest := in[24+8+1+5:]; rest != ""; {
			n := w.receive([]byte(rest[:min(len(rest), 70_000)]))
			if n == 0 {
				t.Fatal("no room")
			}
			rest = rest[n:]
		}
		if w.receive([]byte("x")) != 0 {
			t.Error("room behind an upload")
		}
		w.wantFrames(request(0x00, 0, "", "a", ""), "0 \x00\x00\x00\x00"+value)
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		w.wantReply("get a\r\n", fmt.Sprintf("VALUE a 0 %d\r\n%s\r\nEND\r\n", size, value))
	}
}

// TestBinaryReferenced looks at a large value's memory while it is being sent.
func TestBinaryReferenced(t *testing.T) {
	for _, size := range []int{4095, 100_000, 3_000_000} {
		w := newWorker(t, func(c *store.Config) { c.ItemMax = 4 << 20 }, nil)
		value := strings.Repeat("v", size)
		w.wantFrames(request(0x01, 0, storeExtras, "a", value), "0 ")
		w.out.Reset()
		w.data(request(0x00, 0, "", "a", "") + request(0x14, 0, "", "a", ""))
		w.data(request(0x11, 0, storeExtras, "b", strings.Repeat("b", size)))
		if got := frames(t, w.out.Bytes); len(got) != 1 || got[0] != "0 \x00\x00\x00\x00"+value {
			t.Errorf("%d: wrong reply", size)
		}
		w.out.Flush(t, w.Worker)
		w.ask(request(0x14, 0, "", "b", ""))
		w.wantEmpty()
	}
}

// TestBinaryOutOfMemory: a store that must not evict has no memory left.
func TestBinaryOutOfMemory(t *testing.T) {
	w, key := full(t)
	w.Closed(0, contract.ReasonNormal)
	w.Open(0, 0)
	value := strings.Repeat("v", 10_000)
	w.wantFrames(request(0x12, 0, storeExtras, "new", value)+request(0x00, 0, "", "new", ""), "130 Out of memory", "1 Not found")
	w.wantFrames(request(0x11, 0, storeExtras, key, value)+request(0x00, 0, "", key, ""), "130 Out of memory", "1 Not found")
}

func TestBinaryTrace(t *testing.T) {
	var log bytes.Buffer
	var level atomic.Int32
	level.Store(2)
	w := newWorker(t, nil, func(c *proto.Config) {
		c.Verbosity = &level
		c.Log = func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }
	})
	w.ask(request(0x01, 0, storeExtras, "key", "value") + request(0x99, 0, "", "", ""))
	const want = `<0 new auto-negotiating client connection
0: Client using the binary protocol
<0 Read binary protocol data:
<0    0x80 0x01 0x00 0x03
<0    0x08 0x00 0x00 0x00
<0    0x00 0x00 0x00 0x10
<0    0x74 0x61 0x67 0x2e
<0    0x00 0x00 0x00 0x00
<0    0x00 0x00 0x00 0x00
<0 SET key Value len is 5
>0 Writing bin response:
>0   0x81 0x01 0x00 0x00
>0   0x00 0x00 0x00 0x00
>0   0x00 0x00 0x00 0x00
>0   0x74 0x61 0x67 0x2e
>0   0x00 0x00 0x00 0x00
>0   0x00 0x00 0x00 0x01
<0 Read binary protocol data:
<0    0x80 0x99 0x00 0x00
<0    0x00 0x00 0x00 0x00
<0    0x00 0x00 0x00 0x00
<0    0x74 0x61 0x67 0x2e
<0    0x00 0x00 0x00 0x00
<0    0x00 0x00 0x00 0x00
>0 Writing an error: Unknown command
>0 Writing bin response:
>0   0x81 0x99 0x00 0x00
>0   0x00 0x00 0x00 0x81
>0   0x00 0x00 0x00 0x0f
>0   0x74 0x61 0x67 0x2e
>0   0x00 0x00 0x00 0x00
>0   0x00 0x00 0x00 0x00
`
	if log.String() != want {
		t.Errorf("logged %q, want %q", log.String(), want)
	}
}

// TestProtocolsSideBySide: each connection speaks its own.
func TestProtocolsSideBySide(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.Open(1, 0)
	w.Data(1, []byte(request(0x11, 0, storeExtras, "a", "1")), &w.out)
	w.wantReply("get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n")
	w.out.Reset()
	w.Data(1, []byte(request(0x0e, 0, "", "a", "2")[:26]), &w.out)
	w.Data(1, []byte("2"), &w.out)
	w.wantReply("mg a v\r\n", "VA 2\r\n12\r\n")
	w.Closed(1, contract.ReasonNormal)
	w.Open(1, 0)
	w.out.Reset()
	w.Data(1, []byte("mn\r\n"), &w.out)
	if got := string(w.out.Bytes); got != "MN\r\n" {
		t.Errorf("a connection number that is used again: %q", got)
	}
}

// guard lets one user in.
type guard struct{ asked int }

func (g *guard) Authenticate(user, password []byte) bool {
	g.asked++
	return string(user) == "u" && string(password) == "p"
}

// TestAuthenticated: who is in stays in, and nobody else.
func TestAuthenticated(t *testing.T) {
	g := &guard{}
	w := newWorker(t, nil, func(c *proto.Config) { c.Auth = g })
	w.wantReply("get a\r\nset k 0 0 3\r\nu p\r\nget a\r\nset a 0 0 1\r\n1\r\nget a\r\n",
		"CLIENT_ERROR unauthenticated\r\nSTORED\r\nEND\r\nSTORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n")
	if g.asked != 1 {
		t.Errorf("asked %d times", g.asked)
	}
	w.Closed(0, contract.ReasonNormal)
	w.Open(0, 0)
	w.wantReply("get a\r\n", "CLIENT_ERROR unauthenticated\r\n")
}
