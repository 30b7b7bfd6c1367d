package process

import (
	"os"
	"strconv"
	"strings"
)

// hugeFrom is the size of a mapping from which huge pages are to be expected, in bytes: two of them, one of which is aligned.
const hugeFrom = 4 << 20

// WarnOfSmallPages says so if the kernel was asked for huge pages (-L) and will not give any. It does not say by itself.
func WarnOfSmallPages(path string, log LogFunc) {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	memory, file := smallPages(string(smaps), path)
	if file {
		log(0, "warning: -L: no huge pages for %s: its file system has none, or was not mounted with them (huge=advise)", path)
	}
	if memory {
		log(0, "warning: -L: no huge pages: see /sys/kernel/mm/transparent_hugepage/enabled")
	}
}

// smallPages looks through /proc/self/smaps, of proc(5), for large mappings that can't have huge pages although they were asked for: of
// memory, and of the file.
func smallPages(smaps, file string) (ofMemory, ofFile bool) {
	var size uint64
	var name string
	refused := false
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			size, name, refused = mappingSize(fields[0]), strings.Join(fields[5:], " "), false
		case len(fields) == 2 && fields[0] == "THPeligible:":
			refused = fields[1] == "0" && size >= hugeFrom
		case len(fields) > 0 && fields[0] == "VmFlags:" && refused && strings.Contains(line, " hg"):
			if file != "" && name == file {
				ofFile = true
			} else {
				ofMemory = true
			}
		}
	}
	return ofMemory, ofFile
}

// mappingSize is the size of addresses as FROM-TO.
func mappingSize(addresses string) uint64 {
	from, to, _ := strings.Cut(addresses, "-")
	begin, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err != nil || err2 != nil {
		return 0
	}
	return end - begin
}
