package admin_test

import (
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/proto"
	"ringcached/store"
)

// rig is a Worker of package proto with its store and a connection 0 that is open.
type rig struct {
	worker *proto.Worker
	store  *store.Store
	t      *testing.T
}

func newRig(t *testing.T) *rig {
	t.Helper()
	st, err := store.New(store.Config{Limit: 64 << 20, LimitMax: 1 << 30, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	st.SetNow(2)
	r := &rig{worker: proto.NewServer(st, proto.Config{Start: time.Now()}).NewWorker(), store: st, t: t}
	r.worker.Open(0, 0)
	return r
}

// ask presents in, which has to be answered at once.
func (r *rig) ask(in string) {
	r.t.Helper()
	var out conversation.Output
	if n, next := r.worker.Data(0, []byte(in), &out); n != len(in) || next != contract.More {
		r.t.Fatalf("%q: %d, %v", in, n, next)
	}
	r.worker.EndBatch()
	out.Flush(r.t, r.worker)
}
