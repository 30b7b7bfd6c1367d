package conversation

import (
	"fmt"
	"io"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/store"
)

// RunWorker holds the conversation with a proto.Worker of its own. Tight makes the replies as awkward as the contract allows: no room
// more than asked for, and Full after every few bytes.
func (s *Script) RunWorker(t testing.TB, mode Mode, tight bool) {
	t.Helper()
	p, err := newWorkerPeer(t, s.Flags)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if tight {
		p.out.Tight, p.out.Limit = true, 64
	}
	s.run(t, p, mode)
}

// workerPeer is a worker without a network.
type workerPeer struct {
	t       testing.TB
	st      *store.Store
	w       *proto.Worker
	out     Output
	taken   int    // bytes of out that Read gave away
	pending []byte // said, and not consumed by the worker
	conn    uint32
	open    bool
	closed  bool // by the worker
}

// newWorkerPeer makes a worker that is configured by command line flags.
func newWorkerPeer(t testing.TB, flags []string) (*workerPeer, error) {
	o, err := configure(flags)
	if err != nil {
		return nil, err
	}
	st, err := store.New(o.store)
	if err != nil {
		return nil, err
	}
	st.SetNow(2)
	return &workerPeer{t: t, st: st, w: proto.NewServer(st, o.proto).NewWorker()}, nil
}

func (p *workerPeer) connect() error {
	p.conn += 300 // another chunk of sessions
	p.w.Open(p.conn, 0)
	p.open, p.closed, p.pending = true, false, nil
	return nil
}

func (p *workerPeer) hangup() error {
	if rest := p.out.Bytes[p.taken:]; len(rest) > 0 {
		return fmt.Errorf("the server also said %s", brief(rest))
	}
	if p.open {
		p.w.Closed(p.conn, contract.ReasonNormal)
	}
	p.open = false
	return nil
}

func (p *workerPeer) wait(seconds int) error {
	p.st.SetNow(p.st.Now() + uint32(seconds))
	return nil
}

func (p *workerPeer) say(b []byte, split bool) error {
	if !split {
		return p.deliver(b)
	}
	for piece := range cut(b) {
		if err := p.deliver(piece); err != nil {
			return err
		}
	}
	return nil
}

// yieldsMax is how often in a row a worker may yield without consuming anything: a walk over all items takes some calls.
const yieldsMax = 1000

func (p *workerPeer) realTime() bool { return false }

// deliver presents what was not consumed and b behind it, as often as the worker yields.
func (p *workerPeer) deliver(b []byte) error {
	p.pending = append(p.pending, b...)
	for stuck := 0; !p.closed && len(p.pending) > 0; {
		n, next := p.data()
		p.pending = p.pending[n:]
		p.w.EndBatch()
		p.out.Flush(p.t, p.w)
		switch {
		case next == contract.Close:
			p.closed = true
		case next == contract.More && len(p.pending) >= proto.MaxLine, next == contract.Upload && len(p.pending) > 0:
			return fmt.Errorf("%d bytes left over: %s", len(p.pending), brief(p.pending))
		case next == contract.More, next == contract.Upload:
			return nil
		case n > 0:
			stuck = 0
		default:
			if stuck++; stuck > yieldsMax {
				return fmt.Errorf("the worker yields without end before %s", brief(p.pending))
			}
		}
	}
	return nil
}

// data is one call of Data, in memory that is invalid afterwards: the worker must not keep it.
func (p *workerPeer) data() (int, contract.Next) {
	in := append(make([]byte, 0, len(p.pending)), p.pending...)
	n, next := p.w.Data(p.conn, in, &p.out)
	for i := range in {
		in[i] = '?'
	}
	return n, next
}

// Read implements peer.
func (p *workerPeer) Read(b []byte) (int, error) {
	n := copy(b, p.out.Bytes[p.taken:])
	p.taken += n
	switch {
	case n > 0:
		return n, nil
	case p.closed:
		return 0, io.EOF
	}
	return 0, errSilent
}
