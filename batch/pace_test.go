package batch

import (
	"testing"
	"time"

	"ringcached/internal/contract"
)

// slow is a Handler whose requests take long, those that begin with 'l' excepted.
type slow struct {
	*lines
	turns map[uint32]int
}

func (h *slow) Data(conn uint32, in []byte, out contract.Replies) (int, contract.Next) {
	h.turns[conn]++
	if in[0] == 'l' {
		out.Commit(copy(out.Reserve(1)[:1], "x"))
		return len(in), contract.More
	}
	time.Sleep(batchTime / 4)
	return 0, contract.Yield
}

// TestSlowRequestsEndABatch: however much there is to do for others, a batch ends, and one that has little to ask comes in the next.
func TestSlowRequestsEndABatch(t *testing.T) {
	const many = 200
	h := &slow{lines: &lines{}, turns: map[uint32]int{}}
	ch := &channel{conns: newConnTable(testAccount().of.mapMemory), handler: h, engine: lazyEngine{}, config: &Config{}, allowed: &allowances[0]}
	ch.memory = *testAccount()
	ch.blocks.memory, ch.stashes.blocks = &ch.memory, &ch.blocks
	var err error
	if ch.out, err = newOutput(&ch.memory, batchLimit); err != nil {
		t.Fatal(err)
	}
	for i := range int32(many) {
		ch.received(ch.conns.take(i), []byte("much"))
	}
	if n := len(h.turns); n > 2*paceTurns+8 { // which is when it is noticed, and what a batch lasts
		t.Errorf("%d connections had turns in one batch", n)
	}
	for len(h.turns) < many { // all have shown what they are
		ch.pace = pace{}
		ch.runModest()
	}
	for !ch.pace.late {
		ch.runReady()
	}
	little := ch.conns.take(many)
	ch.received(little, []byte("little"))
	if h.turns[little.slot] != 0 {
		t.Fatal("a batch that has lasted long goes on")
	}
	ch.pace = pace{}
	ch.runModest()
	if h.turns[little.slot] != 1 {
		t.Error("one that asks for little has no turn at the beginning of the next batch")
	}
	ch.pace = pace{}
	clear(h.turns)
	if ch.runReady(); len(h.turns) == 0 || len(h.turns) > 2*paceTurns+8 {
		t.Errorf("%d of those that have much to ask had turns in the next batch", len(h.turns))
	}
}
