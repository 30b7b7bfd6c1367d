package load

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// startNull starts a null server that is stopped when the test ends.
func startNull(t *testing.T, n NullServer) (addr string) {
	t.Helper()
	return startNullOn(t, n, "127.0.0.1:0")
}

func startNullOn(t *testing.T, n NullServer, on string) (addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	addrs, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- n.Run(ctx, on, func(a net.Addr) { addrs <- a.String() }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case addr = <-addrs:
		return addr
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return ""
	}
}

// TestNullServer: a fixed number of bytes for each request, however it comes, also to a client that lets megabytes of
// them pile up, which may come in another order.
func TestNullServer(t *testing.T) {
	for _, n := range []NullServer{{Request: 10, Reply: 7}, {Request: 30, Reply: 5000}, {Request: 3, Reply: 3 << 20}} {
		addr := startNull(t, n)
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		one := append(bytes.Repeat([]byte("x"), n.Reply-2), '\r', '\n')
		for _, said := range []int{1, n.Request - 1, 5 * n.Request, 2*n.Request + 1, n.Request - 1} {
			if _, err := c.Write(make([]byte, said)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 9 {
			got := make([]byte, n.Reply)
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, one) && n.Reply < 1<<20 {
				t.Fatalf("%+v, reply %d: %v", n, i, err)
			}
		}
		if _, err := (Endpoint{Addr: addr}).AskVersion(t.Context()); err != nil {
			t.Error(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if extra, _ := c.Read(make([]byte, 10)); extra > 0 {
			t.Errorf("%+v: %d bytes too many", n, extra)
		}
	}
	if err := (&NullServer{Request: 1}).Run(t.Context(), "127.0.0.1:0", nil); err == nil || !strings.Contains(err.Error(), "replies of 0") {
		t.Errorf("replies of no bytes: %v", err)
	}
}

// TestCannedReplies measures a null server as a comparison does.
func TestCannedReplies(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, change := range []func(*Workload){
			func(*Workload) {},
			func(w *Workload) { w.Pipeline, w.Multiget = 4, 3 },
			func(w *Workload) { w.Gets, w.Sets, w.ValueSize = 0, 1, 3000 },
			func(w *Workload) { w.RequestsPerConnection = 3 },
		} {
			w := SmallWorkload(change)
			var n NullServer
			n.Request, n.Reply = w.Sizes()
			o := RunOptions{Duration: 30 * time.Second}
			o.Addr, o.Workload, o.Driver, o.Requests, o.Canned = startNull(t, n), w, driver, 500, true
			report, err := Run(t.Context(), o)
			if err != nil || report.Failed() != "" || report.Operations != 500 {
				t.Fatalf("%+v, %v", report, err)
			}
		}
	})
	w := SmallWorkload(func(w *Workload) { w.Gets, w.Sets = 1, 1 })
	if err := (&Options{Endpoint: Endpoint{Addr: "127.0.0.1:1"}, Workload: w, Canned: true}).Validate(); err == nil {
		t.Error("a mix was taken for something that a null server can answer")
	}
	if err := (&Options{Endpoint: Endpoint{Addr: "127.0.0.1:1"}, Workload: udpWorkload(nil), Canned: true}).Validate(); err == nil {
		t.Error("datagrams were taken for something that a null server can answer")
	}
}
