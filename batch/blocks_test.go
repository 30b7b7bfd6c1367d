package batch

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"ringcached/ring"
)

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

// TestBacklogParts: a backlog of many parts is what was sent last, wherever they lie.
func TestBacklogParts(t *testing.T) {
	p := newTestPool()
	c := &conn{}
	b := newBacklog(c, 0)
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
