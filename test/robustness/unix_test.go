package robustness

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestLastWordsOnUnixSocket: a client that stores without waiting for replies, and hangs up at
// once, has stored everything. It says more than the server takes in one quantum, so that its end
// is seen while its requests are still being handled.
func TestLastWordsOnUnixSocket(t *testing.T) {
	const sets = 30000
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		path := filepath.Join(servertest.PublicDir(t), "socket")
		server := servertest.Start(t, engine, "-t", "1", "-s", path)
		before := rest(t, server)
		for round := range 5 {
			var said strings.Builder
			for i := range sets {
				fmt.Fprintf(&said, "set n%d 0 0 5 noreply\r\n%05d\r\n", i%100, i)
			}
			last := fmt.Sprintf("set last%d 0 0 1 noreply\r\n1\r\n", round)
			c := server.Dial(t)
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(c, said.String()+last); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		servertest.Eventually(t, 20*time.Second, func() error {
			if n := server.Stat(t, "cmd_set"); n != 5*(sets+1) {
				return fmt.Errorf("%d of %d values were stored", n, 5*(sets+1))
			}
			return nil
		})
		if after := rest(t, server); after.descriptors > before.descriptors {
			t.Errorf("%d descriptors, %d before", after.descriptors, before.descriptors)
		}
		if n := server.Stat(t, "curr_items"); n != 105 {
			t.Errorf("%d items, want 105", n)
		}
	})
}
