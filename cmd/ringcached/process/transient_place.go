package process

import (
	"os"
	"path/filepath"
	"strings"
)

// Variables that systemd sets for the processes of a service.
const (
	systemdInvocation = "INVOCATION_ID"
	systemdRuntime    = "RUNTIME_DIRECTORY" // those of RuntimeDirectory=, with colons
)

// filePlace is the directory of the files of -e, and what decides whether it lasts.
type filePlace struct {
	dir     string // real path
	user    int
	service bool   // a service of systemd's
	runtime string // value of systemdRuntime
	mounts  string // /proc/self/mountinfo
}

// placeOf is the place of a file for this process.
func placeOf(file string) filePlace {
	dir := filepath.Dir(file)
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	_, service := os.LookupEnv(systemdInvocation)
	return filePlace{dir: dir, user: os.Geteuid(), service: service, runtime: os.Getenv(systemdRuntime), mounts: string(mounts)}
}

// Users that systemd makes for DynamicUser= have these numbers, which are nobody else's.
const dynamicFirst, dynamicLast = 61184, 65519

// WarnOfTransientPlace says if what is kept will not be there at the next start, as far as a process can see that.
func WarnOfTransientPlace(file string, note LogFunc) {
	if file == "" {
		return
	}
	level, why := placeOf(file).transient()
	if why != "" {
		note(level, "warning: -e %s: %s", file, why)
	}
}

// transient is why what lies here goes away when the service stops, "" if nothing is known of that. With level 1 it depends on a setting that
// can't be seen.
func (p filePlace) transient() (level int, why string) {
	switch {
	case strings.Contains(p.mountRoot(), "/systemd-private-"):
		return 0, "the items will be lost at the next stop: with PrivateTmp= (or DynamicUser=) the unit has this directory for as long as it runs"
	case p.service && p.user >= dynamicFirst && p.user <= dynamicLast && within(p.dir, "/dev/shm"):
		return 0, "the items will be lost at the next stop: with DynamicUser= systemd removes what the user has in /dev/shm (RemoveIPC=); name a user with User="
	}
	for dir := range strings.SplitSeq(p.runtime, ":") {
		if p.service && dir != "" && within(p.dir, dir) {
			return 1, "the items will be lost at the next stop unless the unit has RuntimeDirectoryPreserve=yes"
		}
	}
	return 0, ""
}

// within reports whether a path is a directory or lies in it. Symbolic links count for what they lead to.
func within(path, dir string) bool {
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// mountRoot is which directory of its file system is mounted where the place is.
func (p filePlace) mountRoot() (root string) {
	longest := -1
	for line := range strings.Lines(p.mounts) {
		fields := strings.Fields(line) // id, parent, device, root, mount point, ...
		if len(fields) < 5 {
			continue
		}
		// A later mount on the same directory hides the earlier one.
		if at := fields[4]; len(at) >= longest && (p.dir == at || strings.HasPrefix(p.dir, strings.TrimSuffix(at, "/")+"/")) {
			longest, root = len(at), fields[3]
		}
	}
	return root
}
