package bench

import (
	"os"
	"strings"
	"testing"
)

// TestClientEnds looks at the process's own ends of connections, as far as the kernel lets it.
func TestClientEnds(t *testing.T) {
	const n = 100
	before := openFiles(t)
	_, err := clientEnds(t.Context(), n)
	if err != nil && !os.IsPermission(err) {
		t.Fatal(err)
	}
	if after := openFiles(t); after >= before+n {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

// openFiles counts this process's.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestIdleAroundAServerThatIsNotOurs(t *testing.T) {
	s := startFake(t, nil)
	in := &instance{subject: &subject{name: "fake"}, addr: s.addr()}
	i, cost, err := idleAround(t.Context(), in, 5, settleFully, nil)
	i.close()
	if cost != nil || err == nil || !strings.Contains(err.Error(), "not started here") {
		t.Errorf("%+v, %v", cost, err)
	}
	i, cost, err = idleAround(t.Context(), in, 0, settleFully, nil)
	i.close()
	if cost != nil || err != nil {
		t.Errorf("of none: %+v, %v", cost, err)
	}
}
