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
	group := process.MemoryLimit{Bytes: 800 << 20, Who: "group"}
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

// TestCheckTellsNeed: check says what memory a server takes, and that there is less.
func TestCheckTellsNeed(t *testing.T) {
	if out := checked(t, "-m", "64", "-l", "127.0.0.1"); !strings.Contains(out, "# takes 64 megabytes for items (-m), ") || strings.Contains(out, "warning: too little memory") {
		t.Errorf("%s", out)
	}
	if out := checked(t, "-m", "4000000", "-l", "127.0.0.1"); strings.Count(out, "# warning: too little memory: 4000000 megabytes for items (-m), ") != 1 {
		t.Errorf("%s", out)
	}
}
