package bench

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// TestPreloadReadsWhileItWrites stores keys in a server that answers each set by itself and can hold hardly any reply, as memcached on a unix
// socket.
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
	w := smallWorkload(func(w *Workload) { w.Keys, w.ValueSize, w.Transport = 10_000, 64, TransportUnix })
	if err := Preload(t.Context(), unixPrefix+path, &w); err != nil {
		t.Fatal(err)
	}
	if n := <-stored; n != w.Keys {
		t.Errorf("%d of %d keys are stored", n, w.Keys)
	}
}
