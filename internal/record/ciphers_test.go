package record

import (
	"crypto/tls"
	"errors"
	"slices"
	"strconv"
	"testing"
	"unsafe"
)

// mapper maps memory for a test, of the Go heap, and sees what becomes of it.
type mapper struct {
	t      *testing.T
	mapped [][]byte
	fail   bool
}

func (m *mapper) mapMemory(n int) ([]byte, error) {
	if m.fail {
		return nil, errors.New("no memory")
	}
	mem := make([]byte, n)
	m.mapped = append(m.mapped, mem)
	return mem, nil
}

func (m *mapper) unmap(mem []byte) error {
	i := slices.IndexFunc(m.mapped, func(other []byte) bool { return &other[0] == &mem[0] })
	if i < 0 || len(mem) != len(m.mapped[i]) {
		m.t.Fatal("what was not mapped is unmapped")
	}
	if !allZero(mem) {
		m.t.Error("what is unmapped was not zeroed")
	}
	m.mapped = slices.Delete(m.mapped, i, i+1)
	return nil
}

func allZero(mem []byte) bool { return !slices.ContainsFunc(mem, func(b byte) bool { return b != 0 }) }

func newMapper(t *testing.T, entries int) (*mapper, *Ciphers) {
	m := &mapper{t: t}
	c := New(entries, m.mapMemory)
	c.Unmap = m.unmap
	return m, c
}

// connections are n of them, that all have other keys: the number of a connection is that of its slot.
func connections(t *testing.T, id uint16, n int) (clients, servers []*State) {
	t.Helper()
	for i := range n {
		states := [2]*State{}
		for side, isClient := range []bool{true, false} {
			k, err := someSecrets(id, isClient)
			if err != nil {
				t.Fatal(err)
			}
			k.In[0], k.Out[0], k.In[1], k.Out[1] = byte(i), byte(i), byte(i>>8), byte(i>>8)
			states[side] = new(State)
			if err := states[side].Start(&k); err != nil {
				t.Fatal(err)
			}
		}
		clients, servers = append(clients, states[0]), append(servers, states[1])
	}
	return clients, servers
}

// inUse is how many entries have a key.
func (c *Ciphers) inUse() (n int) {
	for _, p := range c.pieces {
		if p != nil {
			n += p.used
		}
	}
	return n
}

// TestStateIsSmall, and has nothing that the garbage collector would have to see.
func TestStateIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(State{}); n > 216 {
		t.Errorf("a State has %d bytes", n)
	}
	if !pointerFreeValue(State{}) || pointerFreeValue(struct{ p *int }{}) || pointerFreeValue([1]string{}) {
		t.Error("a State has pointers")
	}
}

// TestKeysStayOffTheHeap: with Go's ciphers of this machine, every kind of key lies in an entry.
func TestKeysStayOffTheHeap(t *testing.T) {
	for s := aes128; s <= chacha; s++ {
		mem := make([]byte, entryLen)
		aead, inMem := expand(s, make([]byte, s.keyLen()), mem[checkLen:])
		if !inMem || aead == nil {
			t.Errorf("keys of cipher %d lie on the heap", s)
		}
		if allZero(mem) && s != chacha { // a key of zeroes, as it is
			t.Errorf("the key of cipher %d is not where it should be", s)
		}
	}
}

// TestHeapKeys: a kind of key that cannot be moved does the same from the heap, and is zeroed there.
func TestHeapKeys(t *testing.T) {
	before := movable
	movable = [chacha + 1]typeOfAEAD{}
	defer func() { movable = before }()
	eachSuite(t, func(t *testing.T, client, server *State) {
		m, c := newMapper(t, 4)
		exchange(t, c, client, server, "data")
		exchange(t, c, server, client, "data")
		e, mem := c.at(client.out.cached)
		object := e.aead
		if e.inPiece || !allZero(mem[checkLen:]) {
			t.Error("the key is not on the heap")
		}
		c.Drop(1, client)
		if !isZeroValue(object) {
			t.Error("the key on the heap was not zeroed")
		}
		c.Drop(2, server)
		if err := c.Close(); err != nil || len(m.mapped) != 0 {
			t.Error(err, len(m.mapped))
		}
	})
}

// TestEviction: many connections with room for the keys of a few; those that are busy keep theirs.
func TestEviction(t *testing.T) {
	for _, most := range []int{2, 5, pieceEntries, pieceEntries + 3} {
		m, c := newMapper(t, most)
		clients, servers := connections(t, suites13[0], pieceEntries+20)
		peer := New(2, heapMemory)
		say := func(i int) {
			buf := make([]byte, 50)
			copy(buf[HeaderLen:], "hello")
			n := c.Seal(uint32(i), servers[i], buf, 5)
			if plain, _, event := peer.Open(0, clients[i], buf[:n]); string(plain) != "hello" {
				t.Fatalf("connection %d of %d: %+v", i, most, event)
			}
		}
		for range 3 {
			for i := range servers {
				say(i)
				say(0)
				if c.inUse() > most {
					t.Fatalf("%d keys are kept, want at most %d", c.inUse(), most)
				}
			}
		}
		if c.inUse() != most {
			t.Errorf("%d keys are kept of %d", c.inUse(), most)
		}
		kept := servers[0].out.cached
		for i := range servers[1:] {
			say(i + 1)
			say(0)
		}
		if most > 2 && servers[0].out.cached != kept {
			t.Error("the busy connection had to expand its key again")
		}
		if pieces := (most + pieceEntries - 1) / pieceEntries; len(m.mapped) != pieces || c.Held() < pieces*pieceLen {
			t.Errorf("%d pieces are mapped for %d keys, %d bytes", len(m.mapped), most, c.Held())
		}
	}
}

// TestTick: keys that are not used are dropped, and their memory goes back.
func TestTick(t *testing.T) {
	m, c := newMapper(t, 200)
	clients, servers := connections(t, suites13[0], 180)
	for i, s := range servers {
		c.SealCopy(uint32(i), s, make([]byte, 100), []byte("hello"))
	}
	if c.inUse() != 180 || len(m.mapped) != 3 {
		t.Fatalf("%d keys in %d pieces", c.inUse(), len(m.mapped))
	}
	for tick := range 300 { // longer than ticks are counted
		c.Tick()
		c.SealCopy(179, servers[179], make([]byte, 100), []byte("hello"))
		want := 180
		if tick >= idleTicks-1 {
			want = 1
		}
		if c.inUse() != want {
			t.Fatalf("%d keys after %d ticks, want %d", c.inUse(), tick+1, want)
		}
	}
	if len(m.mapped) != 1 || c.Held() > pieceLen*5/4 {
		t.Errorf("one key takes %d pieces, %d bytes", len(m.mapped), c.Held())
	}
	peer := New(2, heapMemory)
	buf := make([]byte, 100)
	c.SealCopy(3, servers[3], buf, []byte("x")) // the second of its connection
	clients[3].in.seq = 1
	if plain, _, event := peer.Open(0, clients[3], buf); string(plain) != "x" {
		t.Errorf("after its key was dropped: %+v", event)
	}
	for range idleTicks {
		c.Tick()
	}
	if c.inUse() != 0 || len(m.mapped) != 0 || c.Held() != 0 {
		t.Errorf("idle, %d keys take %d bytes", c.inUse(), c.Held())
	}
}

// TestNoMemory: without memory for more keys those that are there take turns; without any, the Go heap has to do.
func TestNoMemory(t *testing.T) {
	m, c := newMapper(t, 1000)
	clients, servers := connections(t, suites13[1], 100)
	m.fail = true
	peer := New(2, heapMemory)
	for i, s := range servers {
		buf := make([]byte, 100)
		c.SealCopy(uint32(i), s, buf, []byte("x"))
		if plain, _, event := peer.Open(0, clients[i], buf); string(plain) != "x" {
			t.Fatalf("%+v", event)
		}
	}
	if c.inUse() != pieceEntries || c.Held() > pieceLen*5/4 {
		t.Errorf("%d keys, %d bytes", c.inUse(), c.Held())
	}
	if err := c.Close(); err != nil || c.Held() != 0 {
		t.Errorf("%v, %d bytes", err, c.Held())
	}
}

// TestUnmapFails: Close says so, and keeps nothing all the same.
func TestUnmapFails(t *testing.T) {
	m, c := newMapper(t, 8)
	failed := errors.New("not unmapped")
	c.Unmap = func([]byte) error { return failed }
	client, _ := newStates(t, suites13[0])
	c.SealCopy(1, client, make([]byte, 100), []byte("x"))
	if err := c.Close(); !errors.Is(err, failed) || c.Held() != 0 || !allZero(m.mapped[0]) {
		t.Errorf("%v, %d bytes", err, c.Held())
	}
}

// TestDrop: nothing of a connection is left. Close leaves nothing of any.
func TestDrop(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		m, c := newMapper(t, 8)
		exchange(t, c, client, server, "data")
		exchange(t, c, server, client, "data")
		if c.inUse() != 4 || allZero(m.mapped[0]) {
			t.Fatalf("%d keys", c.inUse())
		}
		c.Drop(1, client)
		if *client != (State{}) || c.inUse() != 2 {
			t.Errorf("%d keys are left", c.inUse())
		}
		c.Drop(2, server)
		if !allZero(m.mapped[0]) || c.inUse() != 0 {
			t.Error("of dropped connections something is left")
		}
		c.Drop(2, server) // of a connection without TLS there is nothing to drop
		other, _ := newStates(t, suites13[0])
		c.SealCopy(1, other, make([]byte, 100), []byte("x"))
		if err := c.Close(); err != nil || len(m.mapped) != 0 || c.Held() != 0 {
			t.Error(err, len(m.mapped))
		}
		if n := c.SealCopy(1, other, make([]byte, 100), []byte("x")); n == 0 {
			t.Error("after Close nothing is sealed")
		}
	})
}

// TestSlotsAreUsedAgain: the keys of a connection are never those of another, even if nobody dropped it, or its State was moved.
func TestSlotsAreUsedAgain(t *testing.T) {
	clients, servers := connections(t, suites13[0], 10)
	c, peer := New(8, heapMemory), New(2, heapMemory)
	check := func(slot uint32, s, peerState *State) {
		t.Helper()
		buf := make([]byte, 100)
		n := c.SealCopy(slot, s, buf, []byte("x"))
		if plain, _, event := peer.Open(0, peerState, buf[:n]); string(plain) != "x" {
			t.Fatalf("%+v", event)
		}
	}
	var place State
	for i := range servers {
		hint := place.out.cached
		place = *servers[i] // without Drop
		place.out.cached = hint
		check(5, &place, clients[i])
	}
	moved := place
	moved.out.cached = 1
	check(6, &moved, clients[9])
}

// TestReplacedKeysAreZeroed: with a KeyUpdate the expanded key is gone, on both sides.
func TestReplacedKeysAreZeroed(t *testing.T) {
	for _, id := range suites13 {
		client, server := newStates(t, id)
		m, c := newMapper(t, 8)
		exchange(t, c, client, server, "data")
		if c.inUse() != 2 {
			t.Fatalf("%d keys", c.inUse())
		}
		if _, _, event := c.Open(2, server, c.AppendKeyUpdate(1, client, nil, false)); event.Kind != EventKeyUpdate {
			t.Fatalf("%+v", event)
		}
		if c.inUse() != 0 || !allZero(m.mapped[0]) {
			t.Errorf("%d keys are left", c.inUse())
		}
	}
}

// BenchmarkRecord: one side seals and the other opens, with keys that are expanded, and with keys that are not.
func BenchmarkRecord(b *testing.B) {
	for _, id := range append(slices.Clone(suites13), suites12[0]) {
		for _, size := range []int{64, 16384} {
			for name, entries := range map[string]int{"expanded": 8, "idle": 2} {
				client, server := newStates(b, id)
				others := [2]*State{}
				others[0], others[1] = newStates(b, id)
				c := New(entries, heapMemory)
				buf := make([]byte, size+MaxOverhead)
				one := func(slot uint32, client, server *State) {
					n := c.Seal(slot, client, buf, size)
					if _, _, event := c.Open(slot+1, server, buf[:n]); event.Kind != EventData {
						b.Fatalf("%+v", event)
					}
				}
				b.Run(tls.CipherSuiteName(id)+"/"+strconv.Itoa(size)+"/"+name, func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(size))
					for b.Loop() {
						one(0, client, server)
						if entries == 2 {
							one(2, others[0], others[1])
						}
					}
				})
			}
		}
	}
}
