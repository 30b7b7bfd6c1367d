package main

import (
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

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
