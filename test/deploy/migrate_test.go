package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// hardened is how charts run memcached: as memcached's user, with a root directory that can't be written to and without rights.
var hardened = []string{"--user", "11211:11211", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"}

// settled is how another chart starts its cache: what it gives the container of memcached.
type settled struct {
	chart     string
	options   []string
	args      []string
	megabytes int
	limit     int    // of the container's memory, in mebibytes; 0: none, or the user's
	shown     string // the values of the document that the arguments come from; empty: the chart's own
}

// settlers are what the charts of docs/migrate.md render by default, and with the values shown there.
var settlers = []settled{
	{"Loki's chunks cache", hardened, []string{"-m 8192", "--extended=modern,track_sizes", "-I 5m", "-c 16384", "-v", "-u 11211"}, 8192, 9830, ""},
	{"Loki's results cache, bounded", hardened, []string{"-m 1024", "--extended=modern,track_sizes", "-I 5m", "-c 4096", "-v", "-u 11211", "--client-memory=64m"}, 1024, 1229,
		"resultsCache:\n  connectionLimit: 4096\n  extraArgs:\n    \"-client-memory=64m\": \"\"\n"},
	{"Mimir's chunks cache", hardened, []string{"-m 8192", "--extended=modern", "-I 1m", "-c 16384", "-v", "-u 11211"}, 8192, 12288, ""},
	{"Mimir's index cache", hardened, []string{"-m 2048", "--extended=modern", "-I 5m", "-c 16384", "-v", "-u 11211"}, 2048, 3072, ""},
	{"Mimir's metadata and results caches, bounded", hardened, []string{"-m 512", "--extended=modern", "-I 1m", "-c 4096", "-v", "-u 11211"}, 512, 768,
		"metadata-cache: {connectionLimit: 4096}\nresults-cache: {connectionLimit: 4096}\n"},
	{"Bitnami's, with another image", []string{"--user", "1001:1001", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--env", "MEMCACHED_PORT_NUMBER=11211"}, []string{"-m", "1024"}, 1024, 1400,
		"+args: [\"-m\", \"1024\"]\n+resources: {requests: {memory: 1400Mi}, limits: {memory: 1400Mi}}\n"},
	{"Bitnami's, as it is", []string{"--user", "1001:1001", "--read-only"}, nil, 64, 192, ""},
}

// littleMemory is a warning about the machine that the tests run on.
var littleMemory = regexp.MustCompile(`# warning: (too )?little memory`)

// TestArgumentsOfOtherCharts: check takes them, without a warning.
func TestArgumentsOfOtherCharts(t *testing.T) {
	document := read(t, migratePath)
	for _, s := range settlers {
		if !strings.Contains(document, s.shown) {
			t.Errorf("%s: the document does not show\n%s", s.chart, s.shown)
		}
		args := append([]string{"check"}, s.args...)
		if !slices.Contains(args, "-u 11211") {
			args = append(args, "-u", "11211")
		}
		out, err := exec.Command(servertest.Binary(), append(args, "-l", "127.0.0.1")...).CombinedOutput()
		if err != nil || strings.Contains(littleMemory.ReplaceAllString(string(out), ""), "warning:") {
			t.Errorf("%s: %v: %s", s.chart, err, out)
		}
		if want := fmt.Sprintf("# takes %d megabytes for items", s.megabytes); !strings.Contains(string(out), want) {
			t.Errorf("%s: no %q in %s", s.chart, want, out)
		}
	}
}

// TestLimitsOfOtherCharts: the memory that they give the container has room for what the server says that it takes, with an index for items of 200
// bytes on the average.
func TestLimitsOfOtherCharts(t *testing.T) {
	for _, s := range settlers {
		if s.limit == 0 {
			continue
		}
		items, process, clients, _, sockets := needsOf(t, append(s.args, "-l", "127.0.0.1", "-t", "4")...)
		index := items * 85 / 2000
		if taken := items + process + clients + sockets + index; taken > s.limit {
			t.Errorf("%s: %d MiB for items, %d for buffers, %d for clients, %d for sockets and %d for the index, of %d", s.chart, items, process, clients, sockets, index, s.limit)
		}
	}
}

// TestImageInOtherCharts: the image serves with them.
func TestImageInOtherCharts(t *testing.T) {
	p := engine(t)
	for _, s := range settlers {
		t.Run(s.chart, func(t *testing.T) {
			c := p.start(t, s.options, s.args...)
			c.checkServes(t, "epoll")
			if got := c.ask(t, "stats\r\n", "END"); !strings.Contains(got, fmt.Sprintf("STAT limit_maxbytes %d\r\n", s.megabytes<<20)) {
				t.Errorf("%q", got)
			}
			c.stop(t)
		})
	}
}

// dockerRun is a command line of the document that runs the image: its options and what comes behind the image.
var dockerRun = regexp.MustCompile(`(?m)^\+?docker run (.*?)ringcached:\S+(.*)$`)

// TestDockerLines: every docker run of the document does what it says, but for the port, which is a free one.
func TestDockerLines(t *testing.T) {
	lines := dockerRun.FindAllStringSubmatch(read(t, migratePath), -1)
	if len(lines) < 4 {
		t.Fatalf("lines %q", lines)
	}
	p := engine(t)
	for _, line := range lines {
		t.Run(line[0], func(t *testing.T) {
			options, uring := optionsOf(t, strings.Fields(line[1]))
			args := strings.Fields(line[2])
			if slices.Contains(args, "probe") {
				if out, err := p.run(options, args...).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
				return
			}
			if uring {
				servertest.NeedURing(t)
			}
			c := p.start(t, options, args...)
			c.checkServes(t, map[bool]string{false: "epoll", true: "uring"}[uring])
			c.stop(t)
		})
	}
}

// optionsOf are a line's options for podman, from the root of the repository and without ports, since the network is the host's. Those with the
// project's profile want io_uring.
func optionsOf(t *testing.T, words []string) (options []string, uring bool) {
	t.Helper()
	for i := 0; i < len(words); i++ {
		path, isProfile := strings.CutPrefix(words[i], "seccomp=")
		switch {
		case words[i] == "-p":
			i++
		case words[i] == "--ulimit": // every container has it
			i++
		case isProfile:
			absolute, err := filepath.Abs(root + "/" + path)
			if err != nil {
				t.Fatal(err)
			}
			options, uring = append(options, "seccomp="+absolute), true
		default:
			options = append(options, words[i])
		}
	}
	return options, uring
}

// ourValues is a block of values for the chart in a document.
var ourValues = regexp.MustCompile("(?s)```yaml\n(# Values of the chart ringcached\\.\n.*?)```")

// TestValuesInDocuments: the chart takes every block of values that the documents show.
func TestValuesInDocuments(t *testing.T) {
	needPackages(t)
	for _, document := range []string{migratePath, chartDir + "/README.md"} {
		blocks := ourValues.FindAllStringSubmatch(read(t, document), -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows no values", document)
		}
		for i, block := range blocks {
			path := filepath.Join(t.TempDir(), fmt.Sprintf("values%d.yaml", i))
			if err := os.WriteFile(path, []byte(block[1]), 0o644); err != nil {
				t.Fatal(err)
			}
			rendered(t, "--values", path)
		}
	}
}

// TestOldAddressStays: the command line of the document keeps the name that Bitnami's chart gave to the service.
func TestOldAddressStays(t *testing.T) {
	needPackages(t)
	found := regexp.MustCompile(`(?m)^\+helm install \S+ deploy/helm/ringcached -f values\.yaml (.*)$`).FindStringSubmatch(read(t, migratePath))
	if found == nil {
		t.Fatal("the document shows no helm install")
	}
	objects := rendered(t, strings.Fields(found[1])...)
	if !strings.Contains(objects, "kind: Service\nmetadata:\n  name: memcached\n") || !strings.Contains(objects, "image: registry.example/ringcached:") {
		t.Errorf("%s", objects)
	}
}
