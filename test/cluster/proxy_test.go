package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// nutcracker is where Debian's package has twemproxy's program.
const nutcracker = "/usr/sbin/nutcracker"

// proxy is a running nutcracker with one pool.
type proxy struct {
	socket string // of the pool
	stats  string // address of its statistics
}

// consistent are the settings with which a ring predicts what the proxy does.
const consistent = "distribution: ketama\n  hash: md5"

// startProxy runs nutcracker in front of nodes, with these settings of the pool.
func startProxy(t *testing.T, nodes []*node, settings ...string) *proxy {
	t.Helper()
	dir := t.TempDir()
	p := &proxy{socket: filepath.Join(dir, "pool")}
	config := "pool:\n  listen: " + p.socket + "\n"
	for _, setting := range settings {
		config += "  " + setting + "\n"
	}
	config += "  servers:\n"
	for _, n := range nodes {
		config += fmt.Sprintf("   - %s:1 %s\n", n.Addr, n.name)
	}
	file := filepath.Join(dir, "nutcracker.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	// The port of the statistics must be named; somebody may take it meanwhile.
	for range 10 {
		if p.run(t, dir, file) {
			return p
		}
	}
	t.Fatal("nutcracker does not start")
	return nil
}

// run starts the program and returns whether it serves.
func (p *proxy) run(t *testing.T, dir, config string) bool {
	t.Helper()
	p.stats = freeAddress(t)
	host, port, _ := net.SplitHostPort(p.stats)
	log := filepath.Join(dir, "log")
	cmd := exec.Command(nutcracker, "--conf-file="+config, "--output="+log, "--pid-file="+filepath.Join(dir, "pid"),
		"--stats-addr="+host, "--stats-port="+port, "--stats-interval=100")
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run scripts/install-test-deps, or make test", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-exited:
			text, _ := os.ReadFile(log)
			t.Logf("nutcracker: %v\n%s", err, text)
			return false
		default:
		}
		if conn, err := net.Dial("unix", p.socket); err == nil {
			conn.Close()
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-exited
			})
			return true
		}
	}
	_ = cmd.Process.Kill()
	<-exited
	return false
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *proxy) dial(t *testing.T) *client {
	t.Helper()
	return dial(t, "unix", p.socket)
}

// eventually waits until a figure of the statistics satisfies the condition; the
// proxy adds them up now and then. node is "" for those of the pool.
func (p *proxy) eventually(t *testing.T, node, name string, condition func(float64) bool) {
	t.Helper()
	servertest.Eventually(t, patience, func() error {
		conn, err := net.DialTimeout("tcp", p.stats, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		text, err := io.ReadAll(conn)
		if err != nil {
			return err
		}
		var stats struct{ Pool map[string]any }
		if err := json.Unmarshal(text, &stats); err != nil {
			return err
		}
		figures := stats.Pool
		if node != "" {
			figures, _ = stats.Pool[node].(map[string]any)
		}
		if figure, ok := figures[name].(float64); !ok || !condition(figure) {
			return fmt.Errorf("%s %s in %s", node, name, strings.TrimSpace(string(text)))
		}
		return nil
	})
}
