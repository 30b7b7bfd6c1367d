package process

import (
	"fmt"
	"strings"
	"testing"
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
