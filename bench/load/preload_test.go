package load

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"ringcached/internal/fakeserver"
)

// TestPreloadReadsWhileItWrites stores keys in a server that answers each set by itself and can hold hardly any
// reply, as memcached on a unix socket.
func TestPreloadReadsWhileItWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stored := make(chan int, 1)
	go func() {
		n := 0
		defer func() { stored <- n }()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.(*net.UnixConn).SetWriteBuffer(4 << 10)
		for in := bufio.NewReader(c); ; n++ {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, in, 64+2); err != nil || !strings.HasPrefix(line, "set ") {
				return
			}
			if _, err := io.WriteString(c, "STORED\r\n"); err != nil {
				return
			}
		}
	}()
	w := SmallWorkload(func(w *Workload) { w.Keys, w.ValueSize, w.Transport = 10_000, 64, TransportUnix })
	if err := (Endpoint{Addr: UnixPrefix + path}).Preload(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	if n := <-stored; n != w.Keys {
		t.Errorf("%d of %d keys are stored", n, w.Keys)
	}
}

func TestFeederStoresWhatItSays(t *testing.T) {
	s := fakeserver.Start(t, nil)
	f, err := (Endpoint{Addr: s.Addr()}).OpenFeed(t.Context(), 12, 40)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Store(5, 2000); err != nil {
		t.Fatal(err)
	}
	if err := f.Pace(2005, 100, 1_000_000); err != nil {
		t.Fatal(err)
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if len(s.Items) != 2100 {
		t.Errorf("%d items", len(s.Items))
	}
	for _, key := range []string{"i00000000005", "i00000002004", "i00000002104"} {
		if v := s.Items[key]; len(v) != 40+2 {
			t.Errorf("the value of %s is %q", key, v)
		}
	}
	if bytes.Equal(s.Items["i00000000005"], s.Items["i00000000006"]) {
		t.Error("two items have the same value")
	}
}
