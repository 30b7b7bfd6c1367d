package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/cmd/ringcached/statlines"
	"ringcached/internal/servertest"
)

// TestEveryLineHasARow: what servers show is in the table of package statlines, and what the table has some server shows.
func TestEveryLineHasARow(t *testing.T) {
	engines := servertest.Engines()
	seen := map[*statlines.Row]bool{}
	for _, server := range []struct{ engine, hotKeys string }{{engines[0], "--hot-keys"}, {engines[0], ""}, {engines[len(engines)-1], "--hot-keys"}} {
		engine, flags := server.engine, append(withCertificate(t), "-o", "idle_timeout=60,ssl_session_cache", "-l", "notls:127.0.0.1")
		if server.hotKeys != "" {
			flags = append(flags, server.hotKeys)
		}
		s := servertest.Start(t, engine, flags...)
		storeItem(t, s)
		useKey(t, s)
		for _, group := range statlines.Groups {
			for line := range s.Stats(t, strings.Fields(group)...) {
				row := statlines.Find(group, line)
				if row == nil {
					t.Errorf("engine %s: `stats %s` has a line %s without a row in cmd/ringcached/statlines", engine, group, line)
				}
				seen[row] = true
			}
		}
	}
	for i := range statlines.Table {
		row := &statlines.Table[i]
		if row.When == statlines.WhenURing && !slices.Contains(engines, "uring") {
			continue
		}
		if !seen[row] {
			t.Errorf("no server shows the line %s of `stats %s`", row.Name, row.Group)
		}
	}
}

// storeItem makes a server have an item, so that there is a slab class to show, and replies, so that there are batches.
func storeItem(t *testing.T, s *servertest.Server) {
	t.Helper()
	conn := s.Dial(t)
	fmt.Fprint(conn, "set key 0 0 5\r\nvalue\r\n")
	reply := make([]byte, len("STORED\r\n"))
	if _, err := conn.Read(reply); err != nil || string(reply) != "STORED\r\n" {
		t.Fatalf("%q, %v", reply, err)
	}
}

// useKey makes a server use a key until it is known as a hot one: in pipelines that are as long as what it handles at a time.
func useKey(t *testing.T, s *servertest.Server) {
	t.Helper()
	conn := s.Dial(t)
	const pipelines, gets = 200, 20
	replies := bufio.NewReader(conn)
	for range pipelines {
		fmt.Fprint(conn, strings.Repeat("get nothing\r\n", gets))
		for range gets {
			if line, err := replies.ReadString('\n'); err != nil || line != "END\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
		}
	}
}

// TestUnknownLinesAreFound: a line that nobody described has no row.
func TestUnknownLinesAreFound(t *testing.T) {
	for _, line := range []struct{ group, name string }{
		{"", "new_line"}, {"settings", "curr_items"}, {"items", "items:1:new"}, {"slabs", "1:new"}, {"batch", "bytes_per_send"}, {"batch", "bytes_per_send_x"},
		{"hotkeys", "hotkeys:1:value"},
	} {
		if row := statlines.Find(line.group, line.name); row != nil {
			t.Errorf("`stats %s`: the line %s has the row %s", line.group, line.name, row.Name)
		}
	}
	for _, line := range []struct{ group, name, want string }{
		{"items", "items:17:number", "items:N:number"}, {"slabs", "3:chunk_size", "N:chunk_size"}, {"batch", "bytes_per_send_64", "bytes_per_send_N"},
		{"batch", "cqes_per_batch_more", "cqes_per_batch_N"}, {"slabs", "active_slabs", "active_slabs"}, {"hotkeys", "hotkeys:20:key", "hotkeys:N:key"},
	} {
		if row := statlines.Find(line.group, line.name); row == nil || row.Name != line.want {
			t.Errorf("`stats %s`: the line %s has the row %v", line.group, line.name, row)
		}
	}
}

// TestEveryMetricIsServed: /metrics has the families that the table names.
func TestEveryMetricIsServed(t *testing.T) {
	path := filepath.Join(servertest.PublicDir(t), "metrics")
	s := servertest.Start(t, "auto", append(withCertificate(t), "-l", "notls:127.0.0.1", "--metrics", path)...)
	storeItem(t, s)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	var text []byte
	servertest.Eventually(t, 10*time.Second, func() error { // it is ready a moment after it listens
		response, err := client.Get("http://server/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if text, err = io.ReadAll(response.Body); err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", response.Status, text)
		}
		return err
	})
	for i := range statlines.Table {
		if family := statlines.Table[i].Family(); family != "" && !strings.Contains(string(text), "\n# TYPE "+family+" ") {
			t.Errorf("/metrics has no family %s, which the line %s is to be", family, statlines.Table[i].Name)
		}
	}
}

// TestDocumentedMetricsExist: the alerts of docs/operations.md are about metrics that /metrics has.
func TestDocumentedMetricsExist(t *testing.T) {
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"ringcached_info": true, "ringcached_handling_seconds": true, "memcached_up": true} // no lines
	for i := range statlines.Table {
		known[statlines.Table[i].Family()] = true
	}
	names := regexp.MustCompile(`\b(memcached|ringcached)_[a-z_]*[a-z]\b`).FindAllString(string(document), -1)
	if len(names) < 10 {
		t.Errorf("only %d metrics are found in the document", len(names))
	}
	for _, name := range names {
		if line := statlines.Find("", name); !known[name] && line == nil && name != "memcached_exporter" {
			t.Errorf("docs/operations.md names the metric %s, which no line makes", name)
		}
	}
}

// TestAlertsAreDocumented: docs/operations.md says of each alert what to do.
func TestAlertsAreDocumented(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var alerts, documented []string
	for _, rule := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		alerts = append(alerts, rule[1])
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(string(document), -1) {
		if strings.HasPrefix(row[1], "Ringcached") {
			documented = append(documented, row[1])
		}
	}
	if len(alerts) == 0 || !slices.Equal(alerts, documented) {
		t.Errorf("the file has the alerts\n%v, and docs/operations.md\n%v", alerts, documented)
	}
}
