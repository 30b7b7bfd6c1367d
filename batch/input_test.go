package batch

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/contract"
)

func newTestInputBuffers() *inputBufferPool { return &inputBufferPool{blocks: newTestPool()} }

func takeInputBuffer(t *testing.T, p *inputBufferPool, room int) *inputBuffer {
	t.Helper()
	s, err := p.get()
	if err == nil && room > cap(s.buf) {
		err = p.grow(s, room)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestInputBufferReuse: an input buffer that has grown is used again as it is, by whoever needs one.
func TestInputBufferReuse(t *testing.T) {
	pool := newTestInputBuffers()
	input := make([]byte, 5*inputBufferSize)
	turn := func() {
		s := takeInputBuffer(t, pool, 0)
		if len(s.buf) != 0 || s.off != 0 || s.conn != 0 {
			t.Fatalf("an input buffer with %d bytes in it, %d of them handled", len(s.buf), s.off)
		}
		if cap(s.buf) < len(input) {
			if err := pool.grow(s, len(input)); err != nil {
				t.Fatal(err)
			}
		}
		s.buf = append(s.buf, input...)
		s.off, s.conn = len(input), 7
		pool.put(s)
	}
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations for an input buffer of %d bytes", n, len(input))
	}
}

// TestInputBufferGrows: what was not handled moves along, and to the beginning where that makes room enough.
func TestInputBufferGrows(t *testing.T) {
	pool := newTestInputBuffers()
	s := takeInputBuffer(t, pool, 0)
	s.buf = append(s.buf, pattern(inputBufferSize)...)
	s.off = 1000
	if err := pool.grow(s, 1000); err != nil || cap(s.buf) != inputBufferSize || s.off != 0 || string(s.rest()) != string(pattern(inputBufferSize)[1000:]) {
		t.Fatalf("%v, room for %d, %d handled", err, cap(s.buf), s.off)
	}
	s.off = 10
	if err := pool.grow(s, 3*regionSize); err != nil || cap(s.buf)-len(s.buf) < 3*regionSize || string(s.rest()) != string(pattern(inputBufferSize)[1010:]) {
		t.Fatalf("%v, room for %d, %d handled", err, cap(s.buf), s.off)
	}
	pool.put(s)
	if pool.blocks.lent != 0 {
		t.Errorf("%d bytes are kept", pool.blocks.lent)
	}
}

// TestInputBuffersKept: of a peak no more is kept than keepInputBuffers, and nothing once it is over.
func TestInputBuffersKept(t *testing.T) {
	pool := newTestInputBuffers()
	var lent []*inputBuffer
	for range 2 * keepInputBuffers / inputBufferSize {
		lent = append(lent, takeInputBuffer(t, pool, 0))
	}
	for _, s := range lent {
		pool.put(s)
	}
	if n := len(pool.kept); n != keepInputBuffers/inputBufferSize || pool.room != keepInputBuffers || pool.blocks.lent != keepInputBuffers {
		t.Errorf("%d input buffers of %d bytes are kept, want %d of %d", n, pool.room, keepInputBuffers/inputBufferSize, keepInputBuffers)
	}
	pool.trim() // some were taken
	if len(pool.kept) == 0 {
		t.Error("nothing is kept while input buffers are in use")
	}
	pool.trim()
	if len(pool.kept) != 0 || pool.room != 0 || pool.blocks.lent != 0 {
		t.Errorf("%d input buffers of %d bytes are kept when nobody takes any", len(pool.kept), pool.room)
	}
}

// TestLargeInputBuffersMakeRoom: one that fills what may be kept does not stay at the cost of many small ones.
func TestLargeInputBuffersMakeRoom(t *testing.T) {
	pool := newTestInputBuffers()
	pool.put(takeInputBuffer(t, pool, keepInputBuffers))
	turn := func() {
		a, b := takeInputBuffer(t, pool, 0), takeInputBuffer(t, pool, 0)
		pool.put(a)
		pool.put(b)
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 || pool.room != 2*inputBufferSize {
		t.Errorf("%v allocations for two small input buffers, %d bytes are kept", n, pool.room)
	}
	medium := takeInputBuffer(t, pool, keepInputBuffers)
	if pool.put(medium); pool.room != inputBufferSize {
		t.Errorf("%d bytes are kept, want the small one's %d", pool.room, inputBufferSize)
	}
}

// putFill: a put of which at least this many bytes are to come asks for a direct upload.
const putFill = 1000

// upload is a put under way.
type upload struct {
	mem []byte
	n   int // bytes that came
}

// uploads are those of a channel, by connection.
type uploads struct {
	under   map[uint32]*upload
	dropped [][]byte // memory of those that ended with their connection, cleared
}

func (u *uploads) of(conn uint32) *upload {
	if u == nil {
		return nil
	}
	return u.under[conn]
}

func (u *uploads) begin(conn uint32, size int) { u.under[conn] = &upload{mem: make([]byte, size)} }

// data takes a part of a put. Yield: it has ended.
func (u *uploads) data(h *lines, conn uint32, in []byte, out contract.Replies) (int, contract.Next) {
	p := u.under[conn]
	n := copy(p.mem[p.n:], in)
	p.n += n
	switch left := len(p.mem) - p.n; {
	case left == 0:
		u.end(h, conn, out)
		return n, contract.Yield
	case left >= putFill:
		return n, contract.Upload
	}
	return n, contract.More
}

func (u *uploads) end(h *lines, conn uint32, out contract.Replies) {
	h.write(out, fmt.Appendf(nil, "%08x\n", crc32.ChecksumIEEE(u.under[conn].mem)))
	delete(u.under, conn)
}

func (u *uploads) drop(conn uint32) {
	if p := u.under[conn]; p != nil {
		clear(p.mem)
		u.dropped = append(u.dropped, p.mem)
		delete(u.under, conn)
	}
}

// check looks for memory that was written to after it was given up.
func (u *uploads) check(t *testing.T) {
	for _, mem := range u.dropped {
		if n := len(mem) - bytes.Count(mem, []byte{0}); n > 0 {
			t.Errorf("%d bytes received into memory of a connection that was closed", n)
		}
	}
}

// UploadBuffer gives the memory in pieces: one where little is left, up to nine otherwise.
func (h *lines) UploadBuffer(conn uint32, parts [][]byte) [][]byte {
	p := h.uploads.of(conn)
	rest := p.mem[p.n:]
	for piece := max(len(rest)/8, 4000); len(rest) > 0 && len(parts) < cap(parts); {
		n := min(piece, len(rest))
		parts, rest = append(parts, rest[:n]), rest[n:]
	}
	return parts
}

func (h *lines) UploadAdvance(conn uint32, n int, out contract.Replies) contract.Next {
	p := h.uploads.of(conn)
	if p.n += n; p.n < len(p.mem) {
		return contract.Upload
	}
	h.uploads.end(h, conn, out)
	return contract.More
}

// put is a request and its reply.
func put(value string) (request, reply string) {
	return fmt.Sprintf("put %d\n%s", len(value), value), fmt.Sprintf("%08x\n", crc32.ChecksumIEEE([]byte(value)))
}

// cutUp writes s in pieces of random sizes, small and large ones.
func cutUp(c net.Conn, s string) error {
	for len(s) > 0 {
		n := min(len(s), 1+rand.IntN(1<<(4+rand.IntN(14))))
		if _, err := io.WriteString(c, s[:n]); err != nil {
			return err
		}
		if s = s[n:]; rand.IntN(4) == 0 {
			time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		}
	}
	return nil
}

// TestFill uploads values of all sizes amid other requests, cut at random places.
func TestFill(t *testing.T) {
	sizes := []int{0, 1, putFill - 1, putFill, putFill + 1, 3000, 9000, 65536, 100_000, 700_000}
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change)
		var wg sync.WaitGroup
		for range 4 {
			c := s.dial()
			wg.Go(func() {
				var requests, replies strings.Builder
				for i := range 15 {
					size := sizes[rand.IntN(len(sizes))]
					at := rand.IntN(1 << 20)
					request, reply := put(string(s.mem[at : at+size]))
					fmt.Fprintf(&requests, "%secho %d\n", request, i)
					fmt.Fprintf(&replies, "%s%d\n", reply, i)
				}
				go func() { _ = cutUp(c, requests.String()) }()
				expect(t, c, replies.String())
			})
		}
		wg.Wait()
		if n := s.Stats().BytesUploaded; (n == 0) != s.isTLS(0) { // records have to be opened first
			t.Errorf("%d bytes were received in place", n)
		}
	})
}

// TestUploadOneByOne uploads a value after the other was answered, as most clients do: all but
// the beginning of each is then received in place.
func TestUploadOneByOne(t *testing.T) {
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		const n, size = 20, 500_000
		request, reply := put(string(s.mem[:size]))
		for range n {
			send(t, c, request)
			expect(t, c, reply)
		}
		st := s.Stats()
		if st.BytesRead != uint64(n*len(request)) {
			t.Errorf("%d bytes read, %d sent", st.BytesRead, n*len(request))
		}
		if least := uint64((n - 1) * size * 9 / 10); st.BytesUploaded < least {
			t.Errorf("%d bytes received in place of %d", st.BytesUploaded, st.BytesRead)
		}
	})
}

// TestUploadBehindSendQueue uploads while replies are not taken.
func TestUploadBehindSendQueue(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		request, reply := put(string(s.mem[:1<<20]))
		all := strings.Repeat("ref 4000000\n"+request+"echo x\n", 5)
		go func() { _ = cutUp(c, all) }()
		eventually(t, "a send queue", func() bool { return s.Stats().SendQueueBytes > 0 })
		for range 5 {
			expect(t, c, string(s.mem[:4000000])+"\n"+reply+"x\n")
		}
	})
}

// TestUploadInterrupted ends connections in the middle of values, which the kernel must not
// write to afterwards.
func TestUploadInterrupted(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change)
		const clients = 40
		request, _ := put(string(s.mem[:300_000]))
		var wg sync.WaitGroup
		for i := range clients {
			c := s.dial()
			wg.Go(func() {
				_ = cutUp(c, request[:rand.IntN(len(request))])
				switch i % 4 {
				case 0:
					_ = c.tcp.SetLinger(0)
				case 1:
					_ = c.CloseWrite()
					_, _ = io.Copy(io.Discard, c)
				}
				_ = c.Close()
			})
		}
		wg.Wait()
		eventually(t, "all connections are gone", func() bool { return s.Stats().Conns == 0 && s.Stats().Accepted == clients })
	})
}

// TestUploadWhenStopped stops the server, or loses patience with the client, while values are
// under way and their clients go on sending.
func TestUploadWhenStopped(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.IdleTimeout = time.Second })
		request, _ := put(string(s.mem[:1<<20]))
		idle := s.dial()
		_, _ = io.WriteString(idle, request[:100_000]) // a busy machine may close it before it has said so much
		eventually(t, "the idle client is closed", func() bool { return s.Stats().IdleKicks == 1 })
		for range 10 {
			c := s.dial()
			go func() {
				for i := 0; i < len(request); i += 10_000 {
					if _, err := io.WriteString(c, request[i:min(i+10_000, len(request))]); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		eventually(t, "values are under way", func() bool {
			st := s.Stats()
			if s.isTLS(0) {
				return st.BytesRead > 2<<20
			}
			return st.BytesUploaded > 1<<20
		})
		s.stop()
	})
}

// releaseEngine is an engine that is only ever asked to release.
type releaseEngine struct {
	engine
	released int
}

func (e *releaseEngine) release(*conn) { e.released++ }

// TestClosedWaits: the Handler keeps the memory of a connection that is released for as long
// as the kernel may write to it.
func TestClosedWaits(t *testing.T) {
	var open atomic.Int64
	h := &lines{t: t, open: &open, everyone: map[uint32]bool{}, labels: map[uint32]uint8{}, news: &news{read: map[uint32]int{}}, uploads: &uploads{under: map[uint32]*upload{}}}
	e := &releaseEngine{}
	ch := &channel{handler: h, engine: e, conns: newConnTable(testAccount().of.mapMemory)}
	for _, filling := range []receiveState{recvNone, recvUpload} {
		c := ch.conns.take(5)
		c.toLife(lifeServing)
		c.set(flagAnnounced)
		if filling != recvNone {
			c.toReceive(filling)
		}
		h.Open(c.slot, 0)
		ch.release(c)
		if waits := open.Load() == 1; waits != (filling != recvNone) {
			t.Errorf("filling %v: Closed waits: %v", filling != recvNone, waits)
		}
		if filling != recvNone {
			ch.closed(c)
		}
		ch.conns.put(c)
	}
	if e.released != 2 || open.Load() != 0 {
		t.Errorf("%d released, %d open", e.released, open.Load())
	}
}

// TestFeedEverybody: however many inputs wait, each of them is looked at again and again, and those that came last soon.
func TestFeedEverybody(t *testing.T) {
	const all = 20 * memoryWaitersAtOnce
	ch := &channel{}
	for i := range uint32(all) {
		ch.memoryWaiters = append(ch.memoryWaiters, makeToken(kindNone, 0, i))
	}
	last := ch.memoryWaiters[all-1]
	turns := map[token]int{}
	for turn := range 3 * all / memoryWaitersAtOnce * 2 {
		ch.retryMemoryWaiters()
		for _, c := range ch.ready {
			turns[c]++
		}
		if len(ch.ready) != memoryWaitersAtOnce || turn == 0 && turns[last] != 1 {
			t.Fatalf("turn %d: %d are looked at, the last one %d times", turn, len(ch.ready), turns[last])
		}
		ch.memoryWaiters, ch.ready = append(ch.memoryWaiters, ch.ready...), nil // all have to wait on
	}
	for i := range uint32(all) {
		if n := turns[makeToken(kindNone, 0, i)]; n < 2 {
			t.Errorf("number %d is looked at %d times", i, n)
		}
	}
}
