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
	for _, filling := range []connState{0, stateFilling} {
		c := ch.conns.take(5)
		c.state = stateOpen | filling
		h.Open(c.slot, 0)
		ch.release(c)
		if waits := open.Load() == 1; waits != (filling != 0) {
			t.Errorf("filling %v: Closed waits: %v", filling != 0, waits)
		}
		if filling != 0 {
			ch.closed(c)
		}
		ch.conns.put(c)
	}
	if e.released != 2 || open.Load() != 0 {
		t.Errorf("%d released, %d open", e.released, open.Load())
	}
}
