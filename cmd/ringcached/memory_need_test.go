package main

import (
	"fmt"
	"strings"
	"testing"

	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
)

// TestWarnsOfMemory: one line names what is asked, what there is, and who says so; and there is none where the memory suffices, whatever the
// index may come to.
func TestWarnsOfMemory(t *testing.T) {
	machine := process.MemoryLimit{Bytes: 1000 << 20, Who: "machine"}
	free := process.MemoryLimit{Bytes: 500 << 20, Who: "free", Passing: true}
	group := process.MemoryLimit{Bytes: 800 << 20, Who: "group", Group: true}
	high := process.MemoryLimit{Bytes: 700 << 20, Who: "high", Group: true, Slows: true}
	for _, test := range []struct {
		limits    []process.MemoryLimit
		megabytes int64
		file      string
		want      string // who is named
	}{
		{nil, 1 << 20, "", ""},
		{[]process.MemoryLimit{machine, free, group}, 2000, "", "of 800 that there are (group)"},
		{[]process.MemoryLimit{machine, free}, 2000, "", "of 1000 that there are (machine)"},
		{[]process.MemoryLimit{machine, free, group}, 600, "", "of 500 that there are (free)"},
		{[]process.MemoryLimit{machine, free, group}, 600, "/dev/shm/items", ""},
		{[]process.MemoryLimit{machine, free, group}, 2000, "/dev/shm/items", "(group)"},
		{[]process.MemoryLimit{machine, free, group}, 450, "", ""},
		{[]process.MemoryLimit{group}, 799, "", "(group)"}, // the process takes something, too
		{[]process.MemoryLimit{group, high}, 900, "", "(group): when the cache fills the kernel may kill the server"},
		{[]process.MemoryLimit{group, high}, 699, "", "(high): when the cache fills the kernel may slow down the server"},
		{[]process.MemoryLimit{high, free}, 699, "", "(high)"},
	} {
		c := config.New()
		s := &service{config: c}
		c.Memory.Limit, c.Memory.File = test.megabytes<<20, test.file
		var said []string
		s.warnOfMemory(test.limits, func(level int, format string, args ...any) {
			if level > 0 {
				t.Errorf("a warning that is only logged with -v")
			}
			said = append(said, fmt.Sprintf(format, args...))
		})
		asked := fmt.Sprintf("warning: too little memory: %d megabytes for items (-m), ", test.megabytes)
		if line := strings.Join(said, "\n"); test.want == "" != (line == "") || len(said) > 1 || !strings.Contains(line, test.want) || line != "" && !strings.HasPrefix(line, asked) {
			t.Errorf("-m %d: %q, want %q", test.megabytes, line, test.want)
		}
	}
}

// TestWarnsOfLittleMemory: where -m fits in a cgroup, and what comes beside it does not, the line says from which size of items on it does.
func TestWarnsOfLittleMemory(t *testing.T) {
	const mega = 1 << 20
	group := func(megabytes int64) process.MemoryLimit {
		return process.MemoryLimit{Bytes: megabytes * mega, Who: "group", Group: true}
	}
	for _, test := range []struct {
		limits      []process.MemoryLimit
		connections int
		want        string
	}{
		{nil, 1024, ""},
		{[]process.MemoryLimit{{Bytes: 1040 * mega, Who: "machine"}}, 1024, ""}, // it swaps, and others are killed before
		{[]process.MemoryLimit{group(1024 + 18 + 44)}, 1024, ""},                // 8 and 2 beside the items, 8 of sockets, 44 of the index
		{[]process.MemoryLimit{group(1024 + 18 + 43)}, 1024, "(group): if items have less than 20"},
		{[]process.MemoryLimit{group(1024 + 18 + 20), group(4000)}, 1024, "(group): if items have less than "},
		{[]process.MemoryLimit{group(1024 + 12)}, 1024, "(group): with many connections the kernel may kill"},
		{[]process.MemoryLimit{group(1200)}, 100_000, "(group): with many connections the kernel may kill"},
		{[]process.MemoryLimit{group(1900)}, 100_000, ""},
	} {
		c := config.New()
		c.Engine.Batch.Threads = 1
		c.Network.MaxConns = test.connections
		c.Memory.Limit = 1024 * mega
		s := &service{config: c}
		var said []string
		s.warnOfMemory(test.limits, func(_ int, format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
		line := strings.Join(said, "\n")
		if test.want == "" != (line == "") || len(said) > 1 || !strings.Contains(line, test.want) || line != "" && !strings.HasPrefix(line, "warning: little memory: 1024 megabytes for items (-m), ") {
			t.Errorf("%v, -c %d: %q, want %q", test.limits, test.connections, line, test.want)
		}
	}
}

// TestTightSize: items of the size that the warning names fit.
func TestTightSize(t *testing.T) {
	n := memoryNeed{items: 1000 << 20, process: 10 << 20, kernel: 8 << 20}
	for room := int64(1); room < 40; room++ {
		limit := process.MemoryLimit{Bytes: n.items + n.process + n.kernel + room<<20, Group: true}
		_, size, found := n.tight([]process.MemoryLimit{limit})
		index := float64(n.items) / float64(size+1) * indexBytes
		if !found || size < usualItem || index > float64(room<<20) {
			t.Errorf("%d megabytes: %d bytes, whose index takes %.0f (%v)", room, size, index, found)
		}
	}
}

// TestCheckTellsNeed: check says what memory a server takes, and that there is less.
func TestCheckTellsNeed(t *testing.T) {
	if out := checked(t, "-m", "64", "-l", "127.0.0.1"); !strings.Contains(out, "# takes 64 megabytes for items (-m), ") || !strings.Contains(out, ", up to 8 for the index (if items are small), ") || strings.Contains(out, "warning: too little memory") {
		t.Errorf("%s", out)
	}
	if out := checked(t, "-m", "4000000", "-l", "127.0.0.1"); strings.Count(out, "# warning: too little memory: 4000000 megabytes for items (-m), ") != 1 {
		t.Errorf("%s", out)
	}
}

// TestMemoryOfTLS: its connections and handshakes are counted in, where there is TLS.
func TestMemoryOfTLS(t *testing.T) {
	c := config.New()
	c.Network.MaxConns, c.TLS.Handshakes = 10_000, 100
	plain := memoryNeedOf(c)
	c.TLS.Enabled = true
	if more := memoryNeedOf(c).process - plain.process; more != 10_000*tlsBytes+100*handshakeBytes {
		t.Errorf("%d bytes more", more)
	}
	c.TLS.Handshakes = 1 << 16 // there are not more of them than connections
	if more := memoryNeedOf(c).process - plain.process; more != 10_000*(tlsBytes+handshakeBytes) {
		t.Errorf("%d bytes more", more)
	}
}
