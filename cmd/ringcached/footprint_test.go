package main

import (
	"slices"
	"strings"
	"testing"
)

// TestUntouchedFiles: pages may be dropped that the file has too, and no others.
func TestUntouchedFiles(t *testing.T) {
	const smaps = `00400000-006a2000 r-xp 00000000 fe:00 9980135                            /usr/bin/ringcached
Size:               2696 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
006a2000-009db000 r--p 002a2000 fe:00 9980135                            /a path/with - blanks
Anonymous:             0 kB
009db000-00a0a000 rw-p 005db000 fe:00 9980135                            /usr/bin/ringcached
Anonymous:             0 kB
00a0a000-02a41000 rw-p 00000000 00:00 0
Anonymous:            80 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /relocated
Anonymous:             4 kB
7f195f0ee000-7f195f2ee000 ---p 00000000 00:00 0
Anonymous:             0 kB
7f1000000000-7f1000004000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
`
	want := []addressRange{{0x400000, 0x2a2000}, {0x6a2000, 0x339000}}
	if got := untouchedFiles(strings.NewReader(smaps)); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
