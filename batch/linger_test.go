package batch

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// ended pipelines requests whose replies its socket does not hold, the last of which ends the
// connection, and goes on sending. The server has sent everything when this returns, or the
// connection has failed; the client has read the first bytes of want, those that it had to.
func ended(t *testing.T, s *server) (c *net.TCPConn, read int, want string, err error) {
	t.Helper()
	c = s.dial()
	_ = c.SetReadBuffer(128 << 10)
	const requests, size = 200, 10_000
	want = strings.Repeat(string(pattern(size))+"\n", requests)
	go func() {
		_, _ = io.WriteString(c, strings.Repeat("copy 10000\n", requests)+"quit\n"+strings.Repeat("more", 50_000))
	}()
	buf := make([]byte, 64<<10)
	eventually(t, "all replies are sent", func() bool {
		if s.Stats().BytesWritten == uint64(len(want)) {
			return true
		}
		var n int
		n, err = c.Read(buf)
		read += n
		return err != nil
	})
	return c, read, want, err
}

// TestHangUp: who ends a connection and is sending still gets every reply. The server does not
// wait for its close then.
func TestHangUp(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c, read, want, err := ended(t, s)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the server may close at its worst moment
		expect(t, c, want[read:])
		expectEnd(t, c)
		eventually(t, "the connection is gone", func() bool { return s.Stats().Conns == 0 })
	})
}

// TestHangUpKeepsNobody: a connection that lingers goes when its peer takes nothing, and when the
// server stops, which its end sees to.
func TestHangUpKeepsNobody(t *testing.T) {
	for _, engine := range []string{EngineEpoll, EngineURing} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *Config) { c.Engine, c.SendTimeout = engine, time.Second })
			_, _, _, _ = ended(t, s)
			eventually(t, "who takes nothing is gone", func() bool { return s.Stats().Conns == 0 })
			s.ResetStats()
			_, _, _, _ = ended(t, s)
		})
	}
}
