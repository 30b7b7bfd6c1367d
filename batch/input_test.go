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

func newTestStashes() *stashPool { return &stashPool{blocks: newTestPool()} }

func takeStash(t *testing.T, p *stashPool, room int) *stash {
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

// TestStashReuse: a stash that has grown is used again as it is, by whoever needs one.
func TestStashReuse(t *testing.T) {
	pool := newTestStashes()
	input := make([]byte, 5*stashSize)
	turn := func() {
		s := takeStash(t, pool, 0)
		if len(s.buf) != 0 || s.off != 0 || s.conn != 0 {
			t.Fatalf("a stash with %d bytes in it, %d of them handled", len(s.buf), s.off)
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
		t.Errorf("%v allocations for a stash of %d bytes", n, len(input))
	}
}

// TestStashGrows: what was not handled moves along, and to the beginning where that makes room enough.
func TestStashGrows(t *testing.T) {
	pool := newTestStashes()
	s := takeStash(t, pool, 0)
	s.buf = append(s.buf, pattern(stashSize)...)
	s.off = 1000
	if err := pool.grow(s, 1000); err != nil || cap(s.buf) != stashSize || s.off != 0 || string(s.rest()) != string(pattern(stashSize)[1000:]) {
		t.Fatalf("%v, room for %d, %d handled", err, cap(s.buf), s.off)
	}
	s.off = 10
	if err := pool.grow(s, 3*regionSize); err != nil || cap(s.buf)-len(s.buf) < 3*regionSize || string(s.rest()) != string(pattern(stashSize)[1010:]) {
		t.Fatalf("%v, room for %d, %d handled", err, cap(s.buf), s.off)
	}
	pool.put(s)
	if pool.blocks.lent != 0 {
		t.Errorf("%d bytes are kept", pool.blocks.lent)
	}
}

// TestStashesKept: of a peak no more is kept than keepStash, and nothing once it is over.
func TestStashesKept(t *testing.T) {
	pool := newTestStashes()
	var lent []*stash
	for range 2 * keepStash / stashSize {
		lent = append(lent, takeStash(t, pool, 0))
	}
	for _, s := range lent {
		pool.put(s)
	}
	if n := len(pool.kept); n != keepStash/stashSize || pool.room != keepStash || pool.blocks.lent != keepStash {
		t.Errorf("%d stashes of %d bytes are kept, want %d of %d", n, pool.room, keepStash/stashSize, keepStash)
	}
	pool.trim() // some were taken
	if len(pool.kept) == 0 {
		t.Error("nothing is kept while stashes are in use")
	}
	pool.trim()
	if len(pool.kept) != 0 || pool.room != 0 || pool.blocks.lent != 0 {
		t.Errorf("%d stashes of %d bytes are kept when nobody takes any", len(pool.kept), pool.room)
	}
}

// TestLargeStashesMakeRoom: one that fills what may be kept does not stay at the cost of many small ones.
func TestLargeStashesMakeRoom(t *testing.T) {
	pool := newTestStashes()
	pool.put(takeStash(t, pool, keepStash))
	turn := func() {
		a, b := takeStash(t, pool, 0), takeStash(t, pool, 0)
		pool.put(a)
		pool.put(b)
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 || pool.room != 2*stashSize {
		t.Errorf("%v allocations for two small stashes, %d bytes are kept", n, pool.room)
	}
	medium := takeStash(t, pool, keepStash)
	if pool.put(medium); pool.room != stashSize {
		t.Errorf("%d bytes are kept, want the small one's %d", pool.room, stashSize)
	}
}

// putFill: a put of which so many bytes are to come wants them filled in.
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

// Room gives the memory in pieces: one where little is left, up to nine otherwise.
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
		if s.Stats().BytesFilled == 0 {
			t.Error("nothing was received in place")
		}
	})
}

// TestFillOneByOne uploads a value after the other was answered, as most clients do: all but
// the beginning of each is then received in place.
func TestFillOneByOne(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
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
		if least := uint64((n - 1) * size * 9 / 10); st.BytesFilled < least {
			t.Errorf("%d bytes received in place of %d", st.BytesFilled, st.BytesRead)
		}
	})
}

// TestFillBehindBacklog uploads while replies are not taken.
func TestFillBehindBacklog(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c := s.dial()
		request, reply := put(string(s.mem[:1<<20]))
		all := strings.Repeat("ref 4000000\n"+request+"echo x\n", 5)
		go func() { _ = cutUp(c, all) }()
		eventually(t, "a backlog", func() bool { return s.Stats().BacklogBytes > 0 })
		for range 5 {
			expect(t, c, string(s.mem[:4000000])+"\n"+reply+"x\n")
		}
	})
}

// TestFillInterrupted ends connections in the middle of values, which the kernel must not
// write to afterwards.
func TestFillInterrupted(t *testing.T) {
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
					_ = c.SetLinger(0)
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

// TestFillWhenStopped stops the server, or loses patience with the client, while values are
// under way and their clients go on sending.
func TestFillWhenStopped(t *testing.T) {
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
		eventually(t, "values are under way", func() bool { return s.Stats().BytesFilled > 1<<20 })
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
	const all = 20 * feedTurn
	ch := &channel{}
	for i := range uint32(all) {
		ch.starving = append(ch.starving, makeToken(kindNone, 0, i))
	}
	last := ch.starving[all-1]
	turns := map[token]int{}
	for turn := range 3 * all / feedTurn * 2 {
		ch.feed()
		for _, c := range ch.ready {
			turns[c]++
		}
		if len(ch.ready) != feedTurn || turn == 0 && turns[last] != 1 {
			t.Fatalf("turn %d: %d are looked at, the last one %d times", turn, len(ch.ready), turns[last])
		}
		ch.starving, ch.ready = append(ch.starving, ch.ready...), nil // all have to wait on
	}
	for i := range uint32(all) {
		if n := turns[makeToken(kindNone, 0, i)]; n < 2 {
			t.Errorf("number %d is looked at %d times", i, n)
		}
	}
}
