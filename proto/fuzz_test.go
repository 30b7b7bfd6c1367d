package proto_test

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/proto"
)

// FuzzText presents the same bytes to two servers: to one as they are, to the other cut at places that the fuzzer chooses and with
// replies as awkward as can be. Both must say the same. At the end nothing may be in use.
func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"get a\r\n", "gets a b c\n", "set a 0 0 1\r\n1\r\nget a\r\n", "set a 0 0 3\r\n1\r\nget a\r\n", "gat 1 a\r\n",
		"set n 0 0 2\r\n10\r\nincr n 5\r\ndecr n 9\r\nget n\r\n", "append a 0 0 1 noreply\r\nx\r\n", "cas a 0 0 1 1\r\nx\r\n",
		"set a 0 0 2000000\r\nxyz", "set a x 0 3\r\nxyz\r\nget a\r\n", "delete a\r\ntouch a 0\r\nflush_all\r\nversion\r\nquit\r\n",
		"stats reset\r\nverbosity 0\r\n\r\nstats sizes\r\n", "GET / HTTP/1.1\r\n", "set a 0 0 5000\r\n", "get a\rb\x00 \r\r\n",
		"set a 0 90 1\r\n1\r\nlru_crawler metadump all\r\nlru_crawler mgdump 1,2\nstats cachedump 1 9\r\nget a\r\n",
		"stats sizes_enable\r\nset a 0 0 1\r\n1\r\nstats sizes\r\nlru_crawler crawl 1\r\nlru_crawler sleep 5 noreply\r\nlru_crawler disable\r\n",
		"cache_memlimit 9\r\nslabs reassign 0 3\r\nslabs automove 2\r\nlru tune 1 2 0.5 1\r\nlru mode flat\r\nshutdown\r\nstats slabs\r\n",
	} {
		f.Add([]byte(seed), []byte{1, 2, 3, 250})
		f.Add([]byte("set a 0 0 5000\r\n"+string(bytes.Repeat([]byte("v"), 5000))+"\r\n"+seed), []byte{200, 7})
	}
	f.Add(append(bytes.Repeat([]byte("get a "), 800), "\r\nget a\r\n"...), []byte{255, 9})
	for _, said := range conversations(f, func(name string) bool { return !isBinary(name) }) {
		f.Add(said, []byte{2, 90, 3})
	}
	f.Fuzz(sameWhenSplit)
}

// FuzzMeta is FuzzText for the meta commands.
func FuzzMeta(f *testing.F) {
	for _, seed := range []string{
		"mg a v s t c f h l k O1 q\r\n", "mg a N30 R30 T60 v\r\nmg a v\r\n", "ms a 2 T0 F5 I k O123 c s\r\nhi\r\nmg a v\r\n",
		"ms a 2 MA N0 q\r\nhi\r\nms a 2 MP C1\r\nhi\r\n", "ms a 2 E5\r\nhi\r\nms a 1 C4 I\r\nx\r\nmg a v c\r\nmg a\r\n",
		"ms a 2 E5\r\nhi\r\nmd a I E7 T30\r\nmg a v c\r\nmd a x C7 q\r\nme a\r\nmd a q\r\n", "ms YQ== 1 b k\r\n1\r\nma YQ== b N0 J5 v c t k O1\r\n",
		"ma n N0 J18446744073709551615 v\r\nma n M- D3 E9 v\r\nma n C9 T0\r\n", "mn\r\nme a b\r\nmg\r\nms a x\r\n",
		"ms a 2 v v\r\nhi\r\nms a 2 Ooooooooooooooooooooooooooooooooo\r\nhi\r\nmn \r\n", "ms a 3 O1\r\nhello\r\nmn \r\n",
		"mg a b c f h k l q s t u v x I L P O1 T1 N1\r\n", "ms a 2000000 O5\r\nxyz",
	} {
		f.Add([]byte(seed), []byte{1, 2, 3, 250})
		f.Add([]byte("ms a 5000 E1 O7 k\r\n"+string(bytes.Repeat([]byte("v"), 5000))+"\r\n"+seed), []byte{200, 7})
	}
	for _, said := range conversations(f, func(name string) bool { return strings.HasPrefix(name, "meta_") }) {
		f.Add(said, []byte{2, 90, 3})
	}
	f.Fuzz(sameWhenSplit)
}

// FuzzBinary is FuzzText for the binary protocol.
func FuzzBinary(f *testing.F) {
	const stored, second, one = "\x00\x00\x00\x05\x00\x00\x00\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x00\x00\x00\x00\x01"
	set := request(0x01, 0, stored, "a", "hello")
	for _, seed := range []string{
		set + request(0x00, 0, "", "a", "") + request(0x0d, 0, "", "a", ""), request(0x09, 0, "", "b", "") + request(0x0a, 0, "", "", ""),
		set + request(0x11, 1, stored, "a", "x") + request(0x12, 0, stored, "a", "x") + request(0x13, 0, stored, "a", ""),
		request(0x05, 0, one+one+second, "n", "") + request(0x16, 0, one+one+second, "n", "") + request(0x06, 0, one+one+"\xff\xff\xff\xff", "m", ""),
		set + request(0x0e, 0, "", "a", "tail") + request(0x1a, 1, "", "a", "head") + request(0x04, 0, "", "a", "") + request(0x14, 0, "", "a", ""),
		set + request(0x1c, 0, second, "a", "") + request(0x1e, 0, second, "a", "") + request(0x23, 0, second, "b", ""),
		request(0x08, 0, second, "", "") + request(0x18, 0, "", "", "") + request(0x0b, 0, "", "", ""),
		request(0x10, 0, "", "settings", "") + request(0x10, 0, "", "reset", "") + request(0x10, 0, "", "", ""),
		request(0x10, 0, "", "sizes_enable", "") + set + request(0x10, 0, "", "sizes", "") + request(0x00, 0, "", "a", ""),
		request(0x20, 0, "", "", "") + request(0x21, 0, "", "PLAIN", "\x00a\x00b") + request(0x99, 0, "12", "k", "value"),
		request(0x01, 0, stored, "a", string(bytes.Repeat([]byte("v"), 5000))) + request(0x0c, 0, "", "a", "") + request(0x17, 0, "", "", ""),
		request(0x01, 0, stored, "a", "")[:24] + "\x00", request(0x02, 0, stored, "", ""), "\x80\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x04",
	} {
		f.Add([]byte(seed), []byte{1, 2, 3, 250})
		f.Add([]byte(seed), []byte{0})
	}
	for _, said := range conversations(f, isBinary) {
		f.Add(said, []byte{2, 90, 3})
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		if len(in) > 0 {
			in[0] = 0x80
		}
		sameWhenSplit(t, in, cuts)
	})
}

// longestSeed keeps the fuzzer quick: what a conversation says beyond is left out.
const longestSeed = 32 << 10

// conversations is what clients say in the conversations whose names are wanted, connection by connection.
func conversations(f *testing.F, wanted func(name string) bool) (seeds [][]byte) {
	f.Helper()
	scripts, err := conversation.Load("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range scripts {
		if !wanted(s.Name) {
			continue
		}
		connections, err := s.Requests()
		if err != nil {
			f.Fatalf("%s: %v", s.Name, err)
		}
		for _, said := range connections {
			seeds = append(seeds, said[:min(len(said), longestSeed)])
		}
	}
	return seeds
}

func isBinary(name string) bool {
	return strings.HasPrefix(name, "binary_") || name == "auth_binary"
}

// sameWhenSplit presents in to two servers, to one of them cut.
func sameWhenSplit(t *testing.T, in, cuts []byte) {
	whole, split := newWorker(t, nil, nil), newWorker(t, nil, nil)
	split.out.Tight, split.out.Limit = true, 100
	a := present(whole, in, nil)
	b := present(split, in, cuts)
	if a, b := settle(a), settle(b); !bytes.Equal(a, b) {
		t.Fatalf("whole: %.500q\nsplit: %.500q", a, b)
	}
	for _, w := range []*worker{whole, split} {
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		w.ask("delete a\r\ndelete b\r\ndelete n\r\n")
		if w.store.Stats().CurrItems == 0 {
			w.wantEmpty()
		}
	}
}

// present gives in to w in pieces of the sizes that cuts names.
func present(w *worker, in, cuts []byte) []byte {
	var pending []byte
	for i := 0; len(in) > 0; i++ {
		piece := len(in)
		if len(cuts) > 0 {
			// The same sizes again and again, but a little different each time.
			piece = min(piece, 1+3*int(cuts[i%len(cuts)]+byte(5*(i/len(cuts)))))
		}
		pending = append(pending, in[:piece]...)
		in = in[piece:]
		for idle := 0; ; {
			w.Prefetch([][]byte{pending})
			n, next := w.Data(0, bytes.Clone(pending), &w.out)
			pending = pending[n:]
			w.EndBatch()
			w.out.Flush(w.t, w.Worker)
			if next == contract.Close {
				return w.out.Bytes
			}
			if next == contract.More || next == contract.Upload {
				break
			}
			if idle++; n > 0 {
				idle = 0
			}
			if idle > 1000 { // a long reply takes quanta without input or output
				w.t.Fatalf("yields before %.50q", pending)
			}
		}
		if len(pending) >= proto.MaxLine {
			w.t.Fatalf("%d bytes left over", len(pending))
		}
		if len(cuts) > 0 && i%2 == 1 && len(pending) == 0 {
			in = in[w.receive(in):] // as an engine does that receives straight into memory
		}
	}
	return w.out.Bytes
}

var _ contract.Replies = (*conversation.Output)(nil)

// unsteady are statistics that two servers, or one at two times, do not have in common.
const unsteady = `(rusage_\w+|heap_bytes|walks_\w+|mapped_\w+|time|conn_yields|udp_amplification)`

var (
	unsteadyLine = regexp.MustCompile(`STAT ` + unsteady + ` \S+`)
	unixTime     = regexp.MustCompile(`\b1\d{9}\b`) // in dumps: the servers do not start at the same moment
	unsteadyName = regexp.MustCompile(`^` + unsteady + `$`)
)

// settle takes them out of replies.
func settle(b []byte) []byte {
	if len(b) == 0 || b[0] != 0x81 {
		return unixTime.ReplaceAll(unsteadyLine.ReplaceAll(b, []byte("STAT $1")), []byte("then"))
	}
	var out []byte
	for len(b) >= 24 {
		key, body := int(binary.BigEndian.Uint16(b[2:])), int(binary.BigEndian.Uint32(b[8:]))
		if b[1] != 0x10 || key == 0 || !unsteadyName.Match(b[24:24+key]) {
			out = append(out, b[:24+body]...)
		}
		b = b[24+body:]
	}
	return append(out, b...)
}
