package web

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ringcached/batch"
	"ringcached/cmd/ringcached/web/page"
	"ringcached/proto/hotkeys"
	"ringcached/proto/latency"
)

// fake is a source whose hot key is secret.
type fake struct {
	ready   atomic.Bool
	refuses bool // to tell of hot keys
}

const secret = "a secret/key"

func (f *fake) Report(group string, add func(name, value string)) bool {
	if group == "hotkeys" && f.refuses {
		return false
	}
	add("version", "1.6.45")
	return true
}
func (f *fake) Channels() []batch.Stats                     { return []batch.Stats{{Conns: 3}, {Conns: 4}} }
func (f *fake) Latency(latency.Class) (h latency.Histogram) { h.Counts[2] = 9; h.Sum = 8; return h }
func (f *fake) Engine() batch.Choice                        { return batch.Choice{Engine: "epoll", Why: "asked for"} }
func (f *fake) Ready() bool                                 { return f.ready.Load() }
func (f *fake) HotKeys(int) (keys []hotkeys.Key, looked bool) {
	return []hotkeys.Key{{Name: []byte(secret), Count: 5, Error: 1}}, true
}

// start serves at a free port.
func start(t *testing.T, keys bool) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, keys, nil)
	t.Cleanup(s.Close)
	return s
}

// ask asks for a path.
func ask(t *testing.T, s *Server, method, path string) (code int, body string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: not protected", path)
	}
	return answer.StatusCode, string(text)
}

// TestLife: what is answered before there is a source, while there is one that is ready or not, and after.
func TestLife(t *testing.T) {
	s, source := start(t, false), new(fake)
	check := func(when string, want map[string]int) {
		t.Helper()
		for path, code := range want {
			if got, text := ask(t, s, "GET", path); got != code {
				t.Errorf("%s: %s answers %d, want %d: %s", when, path, got, code, text)
			}
		}
	}
	nothing := map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 503, "/stats.json": 503, "/": 200, "/no": 404}
	check("before", nothing)
	s.Attach(source)
	check("not ready", map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 200, "/stats.json": 200, "/": 200, "/no": 404})
	source.ready.Store(true)
	check("ready", map[string]int{"/livez": 200, "/readyz": 200})
	source.ready.Store(false)
	check("draining", map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 200})
	s.Detach()
	check("after", nothing)
}

// TestOnlyReads: nothing can be changed.
func TestOnlyReads(t *testing.T) {
	s := start(t, false)
	s.Attach(new(fake))
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/stats.json", "/"} {
		if code, _ := ask(t, s, "POST", path); code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, code)
		}
		want, _ := ask(t, s, "GET", path)
		if code, _ := ask(t, s, "HEAD", path); code != want {
			t.Errorf("HEAD %s: %d, and GET %d", path, code, want)
		}
	}
}

// TestKeysAreSecret: no answer has a key, unless keys may be shown.
func TestKeysAreSecret(t *testing.T) {
	const escapedSecret = "a%20secret%2Fkey"
	for _, keys := range []bool{false, true} {
		s := start(t, keys)
		s.Attach(new(fake))
		for _, path := range []string{"/livez", "/readyz", "/metrics", "/stats.json", "/", "/page.js"} {
			_, body := ask(t, s, "GET", path)
			shown := strings.Contains(body, secret) || strings.Contains(body, escapedSecret)
			if shown != (keys && path == "/stats.json") {
				t.Errorf("keys %v, %s: shown %v", keys, path, shown)
			}
		}
	}
}

// TestNamesOfOthers: at a loopback address a server answers to no name that somebody may have bought, whatever it is asked.
func TestNamesOfOthers(t *testing.T) {
	s := start(t, true)
	s.Attach(new(fake))
	for host, want := range map[string]int{
		s.Addr().String(): 200, "localhost:9150": 200, "LocalHost": 200, "[::1]:9150": 200, "::1": 200, "cache7": 200, "a.localhost:80": 200, "localhost.": 200,
		"evil.example:9150": 421, "127.0.0.1.evil.example": 421, "evil.example.": 421, "localhost.evil.example": 421, "127.0.0.1.": 200, "notlocalhost.com": 421,
	} {
		for _, path := range []string{"/", "/stats.json", "/metrics", "/livez"} {
			r, err := http.NewRequest(http.MethodGet, "http://"+s.Addr().String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != want || want == 421 && (strings.Count(string(text), "\n") != 1 || answer.Header.Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("%s of %s: %d, want %d: %v, %v", path, host, answer.StatusCode, want, answer.Header, err)
			}
			answer.Body.Close()
		}
	}
}

// TestEveryNameElsewhere: where other machines can ask anyway, their names for this one are theirs to choose.
func TestEveryNameElsewhere(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, false, nil)
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "cache.example:9150"
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %d", answer.StatusCode)
	}
}

// TestRefusedHotKeys: a source that may not tell of keys (-X) is not one that found none.
func TestRefusedHotKeys(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		s := start(t, true)
		s.Attach(&fake{refuses: refuses})
		var shot page.Snapshot
		_, body := ask(t, s, "GET", "/stats.json")
		if err := json.Unmarshal([]byte(body), &shot); err != nil || shot.HotKeys.Refused != refuses {
			t.Errorf("refuses %v: %s, %v", refuses, body, err)
		}
	}
}

// TestSnapshot: /stats.json has what the source reports.
func TestSnapshot(t *testing.T) {
	s := start(t, true)
	s.Attach(new(fake))
	var shot page.Snapshot
	_, body := ask(t, s, "GET", "/stats.json")
	if err := json.Unmarshal([]byte(body), &shot); err != nil {
		t.Fatal(err)
	}
	if shot.Stats["version"] != "1.6.45" || len(shot.Channels) != 2 || shot.Channels[1].Connections != 4 || shot.Engine.Why != "asked for" || shot.Engine.Features != "" {
		t.Errorf("%+v", shot)
	}
	if c := shot.Latency.Classes[0]; c.Name != "get" || c.Samples != 9 || c.SumNS != 8 || len(c.Counts) != 3 || len(shot.Latency.BoundsNS) != latency.Buckets-1 {
		t.Errorf("%+v with %d bounds", c, len(shot.Latency.BoundsNS))
	}
	if k := shot.HotKeys.Keys[0]; k.Count != 5 || k.Error != 1 {
		t.Errorf("%+v", k)
	}
}

// TestListenerGoesOn: another process, here the same, serves at a listener that was released, whose file stays.
func TestListenerGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	first := Serve(l, false, nil)
	fd, err := first.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	first.Release()
	file := os.NewFile(uintptr(fd), "copy")
	again, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	second := Serve(again, false, nil)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /livez HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
		t.Errorf("%q, %v", answer, err)
	}
	first.Close()
	second.Close()
	if _, err := second.Descriptor(); err == nil {
		t.Error("a listener that is closed has a descriptor")
	}
	if err := syscall.Access(path, 0); err != nil {
		t.Errorf("the file of the socket: %v", err)
	}
}
