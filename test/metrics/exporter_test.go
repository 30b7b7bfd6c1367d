package metrics

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

func TestMain(m *testing.M) { os.Exit(servertest.Main(m)) }

const limit = 60 * time.Second // for anything to happen

// build makes the exporter. RINGCACHED_EXPORTER names one that is there already.
func build(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("RINGCACHED_EXPORTER"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "memcached_exporter")
	cmd := exec.Command("go", "build", "-o", path, "github.com/prometheus/memcached_exporter/cmd/memcached_exporter")
	cmd.Dir = "../../tools/exporter"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the exporter: %v\n%s", err, out)
	}
	return path
}

// freeAddress is one that nobody listens at now, and that hardly anybody else would take.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startExporter runs the exporter for a server, and returns the address of its metrics.
func startExporter(t *testing.T, program, server string) string {
	t.Helper()
	address := freeAddress(t)
	cmd := exec.Command(program, "--memcached.address", server, "--web.listen-address", address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	servertest.Eventually(t, limit, func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return "http://" + address + "/metrics"
}

// scrape reads samples in Prometheus' text format: their values, and the types of their families.
func scrape(t *testing.T, url string) (samples map[string]float64, types map[string]string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s\n%s", url, answer.Status, text)
	}
	samples, types = map[string]float64{}, map[string]string{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		line := lines.Text()
		if kind, found := strings.CutPrefix(line, "# TYPE "); found {
			name, kind, _ := strings.Cut(kind, " ")
			types[name] = kind
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %q: %v", url, line, err)
		}
		samples[line[:at]] = value
	}
	return samples, types
}

// use gives the server something of everything to count.
func use(t *testing.T, server *servertest.Server) {
	t.Helper()
	conn := server.Dial(t)
	defer conn.Close()
	large := strings.Repeat("x", 3000)
	requests := []string{
		"set a 0 0 1\r\n1\r\n", "set b 0 0 5\r\nhello\r\n", "set c 0 0 3000\r\n" + large + "\r\n", "get a b c nothing\r\n", "incr a 2\r\n", "decr a 1\r\n",
		"incr none 1\r\n", "decr none 1\r\n", "touch a 100\r\n", "touch none 1\r\n", "cas b 0 0 1 1\r\nx\r\n", "cas none 0 0 1 1\r\nx\r\n", "mg b v\r\n",
		"ms m 2\r\nhi\r\n", "delete b\r\n", "delete none\r\n", "set big 0 0 2000000\r\n" + strings.Repeat("y", 2000000) + "\r\n", "flush_all 1000\r\n", "gat 10 c\r\n",
	}
	for size := 50; size < 500_000; size *= 2 { // so that there are many slab classes
		requests = append(requests, fmt.Sprintf("set size%d 0 0 %d\r\n%s\r\n", size, size, strings.Repeat("z", size)))
	}
	if _, err := io.WriteString(conn, strings.Join(requests, "")+"mn\r\n"); err != nil {
		t.Fatal(err)
	}
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "MN\r\n" {
			return
		}
	}
}

// moving are samples that change between two readings, by the readings themselves or by themselves. They never go back: the exporter's value must lie
// between the server's before and after.
var moving = []string{
	"memcached_time_seconds", "memcached_uptime_seconds", "memcached_process_user_cpu_seconds_total", "memcached_process_system_cpu_seconds_total",
	"memcached_read_bytes_total", "memcached_written_bytes_total", "memcached_connections_total", "memcached_lru_crawler_items_checked_total",
	"memcached_slab_items_age_seconds", "memcached_slab_hot_age_seconds",
}

// theirs are the beginnings of what the exporter says of itself.
var theirs = []string{"memcached_exporter_", "go_", "process_", "promhttp_"}

// connections is the one sample that a reading raises while it lasts: the exporter's own connection.
const connections = "memcached_current_connections"

// later are families of releases of the exporter after the one that is built.
var later = []string{"memcached_direct_reclaims_total"}

func family(sample string) string {
	name, _, _ := strings.Cut(sample, "{")
	return name
}

// TestSameAsExporter compares every sample, both ways, and the types.
func TestSameAsExporter(t *testing.T) {
	program := build(t)
	for _, engine := range servertest.Engines() {
		for _, flags := range [][]string{nil, {"-o", "no_lru_crawler"}} {
			t.Run(fmt.Sprint(engine, flags), func(t *testing.T) {
				own := freeAddress(t)
				server := servertest.Start(t, engine, append(flags, "--metrics", own)...)
				use(t, server)
				exporter := startExporter(t, program, server.Addr)
				servertest.Eventually(t, limit, func() error { // the server's work in the background may come between two readings
					var r readings
					r.before, r.types = scrape(t, "http://"+own+"/metrics")
					r.want, r.wantTypes = scrape(t, exporter)
					r.after, _ = scrape(t, "http://"+own+"/metrics")
					return errors.Join(r.differences()...)
				})
			})
		}
	}
}

// readings are samples, and the types of their families: the exporter's between two of the server's.
type readings struct {
	before, want, after map[string]float64
	types, wantTypes    map[string]string
}

// differences are those between the exporter and the server.
func (r *readings) differences() (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	compared := 0
	for _, name := range slices.Sorted(maps.Keys(r.want)) {
		if slices.ContainsFunc(theirs, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
			continue
		}
		compared++
		value, kind := r.want[name], family(name)
		first, there := r.before[name]
		last := r.after[name]
		if slices.Contains(moving, kind) {
			if !there || value < first || value > last {
				fail("%s: the exporter says %v, the server %v before and %v after", name, value, first, last)
			}
		} else if name == connections {
			if !there || value != first+1 && value != first+2 {
				fail("%s: the exporter, which has a connection or two, says %v, the server %v", name, value, first)
			}
		} else if !there || value != first || value != last {
			fail("%s: the exporter says %v, the server %v (%v) and then %v", name, value, first, there, last)
		}
		if r.types[kind] != r.wantTypes[kind] {
			fail("%s: the exporter says it is a %s, the server a %s", kind, r.wantTypes[kind], r.types[kind])
		}
	}
	if compared < 400 {
		fail("only %d samples of the exporter", compared)
	}
	for _, name := range slices.Sorted(maps.Keys(r.before)) {
		if _, there := r.want[name]; !there && strings.HasPrefix(name, "memcached_") && !slices.Contains(later, family(name)) {
			fail("%s: the exporter does not have it", name)
		}
	}
	return errs
}
