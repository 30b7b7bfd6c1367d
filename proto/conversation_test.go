package proto_test

import (
	"io"
	"net"
	"testing"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/proto"
)

// TestConversations holds every conversation of testdata in every mode.
func TestConversations(t *testing.T) {
	scripts, err := conversation.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		for _, mode := range []conversation.Mode{conversation.Whole, conversation.Split, conversation.Pipelined} {
			t.Run(s.Name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				s.RunWorker(t, mode, false)
			})
			t.Run(s.Name+"/"+mode.String()+"/tight", func(t *testing.T) {
				t.Parallel()
				s.RunWorker(t, mode, true)
			})
		}
	}
}

// TestConversationOverNetwork runs some conversations over real connections, to show that the runner does what it says.
func TestConversationOverNetwork(t *testing.T) {
	scripts, err := conversation.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		if len(s.Flags) > 0 || s.Name == "expiry" || s.Name == "flush" {
			continue
		}
		for _, mode := range []conversation.Mode{conversation.Whole, conversation.Pipelined} {
			t.Run(s.Name+"/"+mode.String(), func(t *testing.T) {
				w := newWorker(t, nil, nil)
				addr := serve(t, w.Worker)
				s.RunConn(t, func() net.Conn {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					return c
				}, mode)
			})
		}
	}
}

// serve is the smallest server there can be: one connection at a time.
func serve(t *testing.T, w *proto.Worker) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			converse(t, w, c)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// converse serves one connection to its end.
func converse(t *testing.T, w *proto.Worker, c io.ReadWriter) {
	var out conversation.Output
	w.Open(0, 0)
	defer w.Closed(0, contract.ReasonNormal)
	var in []byte
	buf := make([]byte, 5000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		in = append(in, buf[:n]...)
		for again := true; again; {
			w.Prefetch([][]byte{in})
			n, next := w.Data(0, in, &out)
			in = in[n:]
			w.EndBatch()
			out.Flush(t, w)
			if _, err := c.Write(out.Bytes); err != nil || next == contract.Close {
				return
			}
			out.Reset()
			again = next == contract.Yield
		}
	}
}
