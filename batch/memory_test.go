package batch

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/ring"
)

// dontRead lets n clients ask without end for what they never read.
func dontRead(s *server, n int, request string) (conns []net.Conn) {
	for range n {
		c := s.dialBuffers(4<<10, 4<<10)
		_ = c.SetDeadline(time.Time{})
		conns = append(conns, c)
		go func() {
			for {
				if _, err := io.WriteString(c, request); err != nil {
					return
				}
			}
		}()
	}
	return conns
}

// TestClientMemory: what clients make the server hold stays below the limit over all: those that hold the most are closed and counted, others
// do not notice, and all comes back.
func TestClientMemory(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		const limit = 2 << 20
		s := start(t, change, func(c *Config) { c.ClientMemory, c.MaxConns = limit, 1000 })
		polite := s.dial()
		ask := func() {
			send(t, polite, "echo polite\n")
			expect(t, polite, "polite\n")
		}
		ask()
		// So many that they exceed the limit even with the least that each may hold: 12 KiB of replies and 4 of input.
		conns := dontRead(s, 200, strings.Repeat("copy 60000\n", 20))
		eventually(t, "some are closed", func() bool {
			ask()
			return s.Stats().ClientsClosed > 0
		})
		for range 50 {
			ask()
		}
		// A batch may bring so much more before it is known.
		eventually(t, "the limit holds", func() bool { return s.Stats().ClientMemory <= limit })
		for _, c := range conns {
			_ = c.Close()
		}
		eventually(t, "all comes back", func() bool {
			st := s.Stats()
			return st.Conns == 1 && st.SendQueueBytes == 0 && st.ClientMemory < limit
		})
		ask()
	})
}

// TestClosesNoMoreThanNeeded: input buffers of connections that were closed at the limit come back at once, so that the next look does not
// close others for them.
func TestClosesNoMoreThanNeeded(t *testing.T) {
	const clients, each = 60, 8 << 10
	ch, _ := unserved(t, EngineEpoll)
	for range clients {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeAll(pair[1:]) })
		ch.server.conns.Add(1)
		c := ch.newConn(arrival{fd: int32(pair[0]), local: true})
		ch.admit(c)
		if !ch.keep(c, make([]byte, each)) {
			t.Fatal("there is no memory for input")
		}
	}
	ch.memory.tell(0)
	m := ch.memory.of
	m.limit = m.held.Load() - 5*each
	most := m.excess()/each + 1
	for range 5 {
		ch.limitMemory()
	}
	if n := int64(m.closed.Load()); n < 5 || n > most {
		t.Errorf("%d of %d connections are closed, want 5 to %d", n, clients, most)
	}
	if held := m.held.Load(); held > m.limit {
		t.Errorf("%d bytes are held, and %d may be", held, m.limit)
	}
}

// TestManyClientsSlow: where many hold something each may hold less, so that all stay.
func TestManyClientsSlow(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		const limit, clients = 4 << 20, 40
		s := start(t, change, func(c *Config) { c.ClientMemory, c.MaxConns = limit, 1000 })
		conns := dontRead(s, clients, strings.Repeat("copy 2000\n", 1000))
		defer func() {
			for _, c := range conns {
				_ = c.Close()
			}
		}()
		defer func() {
			st := s.Stats()
			t.Logf("short %d held %d conns %d closed %d mem %d accepted %d lacking %d", st.ShortSends, st.ZeroCopySends, st.Conns, st.ClientsClosed, st.ClientMemory, st.Accepted, st.ClientsLacking)
		}()
		eventually(t, "all have a send queue", func() bool {
			st := s.Stats()
			return st.ShortSends+st.ZeroCopySends >= clients && st.Conns == clients
		})
		if st := s.Stats(); st.ClientsClosed != 0 || st.ClientMemory > limit || st.Conns != clients {
			t.Errorf("%d of %d connections, %d closed, %d bytes", st.Conns, clients, st.ClientsClosed, st.ClientMemory)
		}
	})
}

// TestNoMemoryForClients: a connection for which no memory can be mapped is closed and counted. Others, and those that come later, are served.
func TestNoMemoryForClients(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		var none atomic.Bool
		s := start(t, change, func(c *Config) {
			c.mapMemory = func(n int) ([]byte, error) {
				if none.Load() {
					return nil, errors.New("there is none")
				}
				return ring.Map(n)
			}
		})
		eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
		var polite []stream // on every channel, since one that serves its first connection over TLS needs memory for its keys
		for range s.Threads() {
			polite = append(polite, s.dial())
		}
		ask := func() {
			for _, c := range polite {
				send(t, c, "echo polite\n")
				expect(t, c, "polite\n")
			}
		}
		ask()
		if got := s.loads(); got[0] != 1 {
			t.Fatalf("the channels have %v connections", got)
		}
		none.Store(true)
		for _, request := range []string{
			"copy 3000000\n", // more than there are arenas
			strings.Repeat("copy 10000\nref 100\n", 100),
			strings.Repeat("ref 1000000\necho x\n", 50), // a send queue
			"echo " + strings.Repeat("x", 30_000),       // an input that waits
		} {
			before := s.Stats()
			for _, c := range dontRead(s, 3, request) {
				if strings.HasPrefix(request, "echo") {
					_ = c.Close() // has a buffer of its own
				}
			}
			eventually(t, "all are gone", func() bool {
				st := s.Stats()
				return st.Accepted >= before.Accepted+3 && int(st.Conns) <= len(polite)
			})
			if st := s.Stats(); st.ClientsLacking == before.ClientsLacking && strings.HasPrefix(request, "copy 3") {
				t.Errorf("%.20q: nobody is counted", request)
			}
		}
		eventually(t, "all references are released", func() bool { return s.refs.Load() == 0 })
		none.Store(false)
		c := s.dial()
		send(t, c, "copy 3000000\n")
		expect(t, c, string(pattern(3000000))+"\n")
	})
}

// TestConnectionsWithoutMemory: connections are served where their records cannot be mapped.
func TestConnectionsWithoutMemory(t *testing.T) {
	table := newConnTable(func(int) ([]byte, error) { return nil, errors.New("there is none") })
	defer table.close()
	for i := range int32(3 << chunkBits) {
		if c := table.take(i); c.fd != i {
			t.Fatalf("%+v", c)
		}
	}
}

// TestReferencesFillABatch: it takes the kernel as long to send them as what is copied.
func TestReferencesFillABatch(t *testing.T) {
	out, err := newOutput(testAccount(), batchLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	mem, err := ring.Map(64 << 10)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]conn, batchLimit/len(mem)+1)
	for i := range conns {
		conns[i] = conn{slot: uint32(i), reply: -1}
		w := writer{out: out, conn: &conns[i]}
		if full := i*len(mem) >= batchLimit; w.Full() != full {
			t.Fatalf("after %d bytes: full %v", i*len(mem), w.Full())
		}
		w.Reference(mem, 1)
	}
}

// TestRoomForReplies: where clients hold much a connection gets no more room than its replies may take, but always what is asked for.
func TestRoomForReplies(t *testing.T) {
	out, err := newOutput(testAccount(), batchLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	out.limit = 12 << 10
	c := conn{reply: -1}
	w := writer{out: out, conn: &c}
	for _, step := range []struct{ ask, room, used int }{
		{100, 12 << 10, 8 << 10}, {100, 4 << 10, 3 << 10}, {2000, 2000, 2000}, {contract.ReserveMax, contract.ReserveMax, 0},
	} {
		if room := cap(w.Reserve(step.ask)); room != step.room {
			t.Errorf("room for %d bytes when %d are asked for, want %d", room, step.ask, step.room)
		}
		w.Commit(step.used)
	}
	if !w.Full() {
		t.Error("not full")
	}
}

// TestReserveMax: a Handler that reserves more than the contract allows panics, whether there is room or not.
func TestReserveMax(t *testing.T) {
	out, err := newOutput(testAccount(), batchLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	w := writer{out: out, conn: &conn{reply: -1}}
	if room := cap(w.Reserve(contract.ReserveMax)); room < contract.ReserveMax {
		t.Errorf("room for %d bytes", room)
	}
	defer func() {
		if told, _ := recover().(string); !strings.Contains(told, "ReserveMax") {
			t.Errorf("panic: %q", told)
		}
	}()
	w.Reserve(contract.ReserveMax + 1)
}

// greedy is a Handler each of whose turns fills a quarter of a batch, and that always has more.
type greedy struct {
	*lines
	turns map[uint32]int
}

func (h *greedy) Data(conn uint32, in []byte, out contract.Replies) (int, contract.Next) {
	h.turns[conn]++
	if in[0] == 'l' { // a modest one
		out.Commit(copy(out.Reserve(1)[:1], "x"))
		return len(in), contract.More
	}
	out.Reference(h.mem[:batchLimit/4], 1)
	return 0, contract.Yield
}

// lazyEngine receives nothing.
type lazyEngine struct{ engine }

func (lazyEngine) receive(*conn) {}
func (lazyEngine) pause(*conn)   {}

// TestTurnsAreFair: connections that always have more get turns in turn, however few of them fit into a batch, and one that has little to
// ask has its turn in the next batch at the latest.
func TestTurnsAreFair(t *testing.T) {
	const many = 40
	h := &greedy{lines: &lines{mem: make([]byte, batchLimit/4)}, turns: map[uint32]int{}}
	ch := &channel{conns: newConnTable(testAccount().of.mapMemory), handler: h, engine: lazyEngine{}, config: &Config{}, allowed: &allowances[0]}
	ch.memory = *testAccount()
	ch.blocks.memory, ch.inputBuffers.blocks = &ch.memory, &ch.blocks
	var err error
	if ch.out, err = newOutput(&ch.memory, batchLimit); err != nil {
		t.Fatal(err)
	}
	batch := func() {
		for slot := range ch.conns.made {
			ch.conns.at(slot).reply = -1
		}
		ch.out.reset()
		ch.pace = pace{}
		ch.runModest()
	}
	for i := range int32(many) {
		ch.received(ch.conns.take(i), []byte("more"))
	}
	for range many { // all have shown what they are
		batch()
		ch.runReady()
	}
	batch()
	clear(h.turns)
	late := ch.conns.take(many)
	for range 5 * many {
		ch.runReady()
		before := h.turns[late.slot]
		ch.received(late, []byte("little")) // too late for this batch
		if batch(); h.turns[late.slot] != before+1 {
			t.Fatal("one that asks for little waits for more than a batch")
		}
	}
	least, most := 1<<30, 0
	for slot := range uint32(many) {
		least, most = min(least, h.turns[slot]), max(most, h.turns[slot])
	}
	if most-least > 2 || least == 0 {
		t.Errorf("%d to %d turns", least, most)
	}
}

func newTestPool() *blockPool { return &blockPool{memory: testAccount()} }

// lendTest lends n bytes and writes to all of them.
func lendTest(t *testing.T, p *blockPool, n int) run {
	t.Helper()
	lent, err := p.lend(n)
	if err != nil || len(lent.mem) < n {
		t.Fatalf("%d bytes lent, %v; want %d", len(lent.mem), err, n)
	}
	for i := range lent.mem {
		lent.mem[i] = 1
	}
	return lent
}

// giveBack trims until nothing more is given back, as a second later.
func giveBack(p *blockPool) {
	p.tick()
	p.tick()
	for p.trim() {
	}
}

// TestBlocksGoBack: one connection's block keeps neither others' memory nor that of its neighbours.
func TestBlocksGoBack(t *testing.T) {
	p := newTestPool()
	defer p.close()
	var lent []run
	for range 5 * regionBlocks {
		lent = append(lent, lendTest(t, p, 1))
	}
	for i, b := range lent {
		if i%regionBlocks > 0 {
			p.give(b)
		}
	}
	giveBack(p)
	if resident := residentPages(t, p) * blockSize; len(p.regions) != 5 || p.lent != 5*blockSize || p.resident != p.lent || resident != p.lent {
		t.Errorf("%d regions, %d bytes resident by count, %d by the kernel's, for %d lent", len(p.regions), p.resident, resident, p.lent)
	}
	for i := range 4 {
		p.give(lent[(i+1)*regionBlocks])
	}
	giveBack(p)
	if len(p.regions) != 1 || p.resident != blockSize {
		t.Errorf("%d regions and %d bytes kept for a block", len(p.regions), p.resident)
	}
	p.give(lent[0])
	giveBack(p)
	if len(p.regions) != 0 || p.resident != 0 || p.memory.held != 0 {
		t.Errorf("%d regions and %d bytes kept for nothing, %d counted", len(p.regions), p.resident, p.memory.held)
	}
}

// residentPages counts the pages of the pool's regions that are in memory.
func residentPages(t *testing.T, p *blockPool) (n int) {
	t.Helper()
	for _, r := range p.regions {
		in, err := ring.Resident(r.mem)
		if err != nil {
			t.Fatal(err)
		}
		n += in
	}
	return n
}

// TestBlocksAreOneOwners: runs of all sizes never overlap, and what was lent within a second stays resident.
func TestBlocksAreOneOwners(t *testing.T) {
	p := newTestPool()
	random := rand.New(rand.NewPCG(1, 2))
	var lent []run
	sum := 0
	for range 5000 {
		if len(lent) > 0 && random.IntN(5) < 2 {
			i := random.IntN(len(lent))
			checkRun(t, lent[i], byte(i))
			p.give(lent[i])
			sum -= len(lent[i].mem)
			last := len(lent) - 1
			if lent[i] = lent[last]; i < last {
				fillRun(lent[i], byte(i))
			}
			lent = lent[:last]
		} else {
			lent = append(lent, lendTest(t, p, 1+random.IntN(1<<(1+random.IntN(21)))))
			fillRun(lent[len(lent)-1], byte(len(lent)-1))
			sum += len(lent[len(lent)-1].mem)
		}
		if p.lent != sum || p.memory.held != int64(sum) {
			t.Fatalf("%d bytes are lent by count, %d in all; want %d", p.lent, p.memory.held, sum)
		}
		if random.IntN(50) == 0 {
			p.tick()
			p.trim()
		}
	}
	for i := range lent {
		checkRun(t, lent[i], byte(i))
		p.give(lent[i])
	}
	if p.tick(); p.keep == 0 || p.trim() && p.resident == 0 {
		t.Error("nothing stays of what was lent within the last second")
	}
	giveBack(p)
	if p.resident != 0 || len(p.regions) != 0 || p.memory.held != 0 {
		t.Errorf("%d bytes resident in %d regions, %d counted, when nothing is lent", p.resident, len(p.regions), p.memory.held)
	}
}

// fillRun writes one byte to the beginning and the end of each page.
func fillRun(lent run, b byte) {
	for i := 0; i < len(lent.mem); i += blockSize {
		lent.mem[i], lent.mem[i+blockSize-1] = b, b
	}
}

func checkRun(t *testing.T, lent run, b byte) {
	t.Helper()
	for i := 0; i < len(lent.mem); i += blockSize {
		if lent.mem[i] != b || lent.mem[i+blockSize-1] != b {
			t.Fatalf("page %d of a run of %d bytes is somebody else's too", i/blockSize, len(lent.mem))
		}
	}
}

// TestSendQueueParts: a send queue of many parts is what was sent last, wherever they lie.
func TestSendQueueParts(t *testing.T) {
	p := newTestPool()
	c := &conn{}
	b := newSendQueue(c, 0)
	var want []byte
	for i := range 3000 {
		piece := pattern(1 + i%700)
		want = append(want, piece...)
		if !b.copyIn(p, segment{addr: uintptr(unsafe.Pointer(&piece[0])), len: len(piece)}, len(piece)) {
			t.Fatal("no memory")
		}
	}
	var got []byte
	for _, s := range b.parts {
		got = append(got, unsafe.Slice(pointer(s.addr), s.len)...)
	}
	if string(got) != string(want) {
		t.Error("the parts are not what was copied in")
	}
	size := 0
	for _, lent := range b.lent {
		size += len(lent.mem)
		p.give(lent)
	}
	if size != b.size || p.lent != 0 {
		t.Errorf("%d bytes borrowed, %d by its count, %d not given back", size, b.size, p.lent)
	}
}

// testAccount is one without a limit.
func testAccount() *account {
	return &account{of: newClientMemory(0, ring.Map)}
}
