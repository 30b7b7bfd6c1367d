package main

import (
	"fmt"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

func TestSmallPages(t *testing.T) {
	const file = "/dev/shm/the items"
	mapping := func(addresses, name string, eligible int, flags string) string {
		return fmt.Sprintf("%s rw-s 00000000 00:27 2    %s\nSize: 65540 kB\nTHPeligible:           %d\nVmFlags: rd wr %s\n", addresses, name, eligible, flags)
	}
	const large, little = "7f9447e00000-7f944be01000", "7f9447e00000-7f9447f00000"
	for _, test := range []struct {
		smaps        string
		memory, file bool
	}{
		{"", false, false},
		{mapping(large, "", 1, "hg") + mapping(large, file, 1, "hg"), false, false},
		{mapping(large, "", 0, "hg") + mapping(large, file, 1, "hg"), true, false},
		{mapping(large, "", 1, "hg") + mapping(large, file, 0, "hg"), false, true},
		{mapping(large, "", 0, "hg") + mapping(large, file, 0, "hg"), true, true},
		{mapping(large, "", 0, "nr") + mapping(little, "", 0, "hg"), false, false}, // not asked for, not worth it
		{strings.ReplaceAll(mapping(large, "", 0, "hg"), "THPeligible", "Unknown"), false, false},
	} {
		if memory, inFile := smallPages(test.smaps, file); memory != test.memory || inFile != test.file {
			t.Errorf("memory %v, file %v, want %v, %v of\n%s", memory, inFile, test.memory, test.file, test.smaps)
		}
	}
}

// TestHugePagesInFile: that a file gets none is a warning, and the server serves.
func TestHugePagesInFile(t *testing.T) {
	for place, file := range memoryFiles(t) {
		server := servertest.Start(t, "epoll", "-L", "-e", file, "-m", "64")
		fields := mappingOf(t, server.PID, file)
		eligible, known := fields["THPeligible"]
		if !known || !strings.Contains(fields["VmFlags"], "hg") {
			t.Skip("this kernel does not tell THPeligible, or gives no huge pages: it takes 5.0 with CONFIG_TRANSPARENT_HUGEPAGE")
		}
		warning := "warning: -L: no huge pages for " + file + ": its file system has none"
		if warned := strings.Contains(server.Log(), warning); warned != (eligible == "0") {
			t.Errorf("%s: eligible is %s\n%s", place, eligible, server.Log())
		}
		answer(t, server.Dial(t), "set k 0 0 1\r\nv", 1)
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestHugePagesOff: where nobody gets any, -L says so.
func TestHugePagesOff(t *testing.T) {
	enabled := hugePages(t)
	server := servertest.Start(t, "epoll", "-L", "-m", "64")
	off := strings.Contains(enabled, "[never]")
	if warned := strings.Contains(server.Log(), "warning: -L: no huge pages: "); warned != off {
		t.Errorf("%s%s", enabled, server.Log())
	}
}
