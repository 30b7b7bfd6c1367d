package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// The test program starts itself twice: the keeper has mounts of its own, makes the control groups and removes them at the end; the machine is
// process 1 of the other namespaces and becomes systemd.
const (
	stageVariable = "RINGCACHED_TEST_STAGE"
	stageKeeper   = "keeper"
	stageMachine  = "machine"
	stageAsk      = "ask"

	groupsVariable = "RINGCACHED_TEST_CGROUP" // the directory of the machine's control groups, as the keeper sees it
	rootVariable   = "RINGCACHED_TEST_ROOT"   // an empty directory

	systemdProgram = "/usr/lib/systemd/systemd"
	installed      = "/opt/bin/ringcached" // in the machine, where the units have /usr/bin/ringcached

	installedAsMemcached = "/opt/bin/memcached" // a link to it
)

// runStage does what the environment names, and reports whether it names anything.
func runStage() (named bool, err error) {
	switch stage := os.Getenv(stageVariable); stage {
	case "":
		return false, nil
	case stageKeeper:
		return true, keep()
	case stageMachine:
		return true, becomeSystemd()
	case stageAsk:
		return true, answerQuestion(os.Args[1:])
	default:
		return true, errors.New("no such stage: " + stage)
	}
}

// stage is the test program once more, as one of the stages, which dies with the thread that starts it.
func stage(name string, spaces uintptr, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), stageVariable+"="+name), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: spaces, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// keep runs a machine until stdin ends. It writes the process id of its systemd.
func keep() error {
	runtime.LockOSThread()
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err == syscall.EINVAL {
		return errors.New(inChroot)
	} else if err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	root := os.Getenv(rootVariable)
	if err := syscall.Mount("cgroup2", root, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount the control groups (cgroup2): %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	_, place, _ := strings.Cut("\n"+string(own), "\n0::")
	place, _, _ = strings.Cut(place, "\n")
	groups := filepath.Join(root, place, fmt.Sprint(groupPrefix, os.Getpid()))
	if _, err := os.Stat(filepath.Dir(groups)); err != nil {
		groups = filepath.Join(root, filepath.Base(groups)) // what is mounted begins at our own group
	}
	removeStale(filepath.Dir(groups))
	if err := os.Mkdir(groups, 0o755); err != nil {
		return fmt.Errorf("make a control group: %w", err)
	}
	defer removeGroups(groups)
	const spaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	machine := stage(stageMachine, spaces, groupsVariable+"="+groups)
	if err := machine.Start(); err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	fmt.Println(machine.Process.Pid)
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		_ = machine.Process.Kill()
	}()
	return machine.Wait()
}

const groupPrefix = "ringcached-test-"

// removeStale removes what keepers that were killed have left behind.
func removeStale(dir string) {
	found, _ := filepath.Glob(filepath.Join(dir, groupPrefix+"*"))
	for _, groups := range found {
		keeper := strings.TrimPrefix(filepath.Base(groups), groupPrefix)
		if _, err := os.Stat("/proc/" + keeper); os.IsNotExist(err) {
			removeGroups(groups)
		}
	}
}

// removeGroups removes a tree of control groups in which no process is left.
func removeGroups(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeGroups(filepath.Join(dir, e.Name()))
		}
	}
	_ = syscall.Rmdir(dir)
}

// becomeSystemd makes a root directory of what the host has below /usr and little else, and starts systemd there.
func becomeSystemd() error {
	runtime.LockOSThread() // the namespace of control groups is this thread's
	groups, root := os.Getenv(groupsVariable), os.Getenv(rootVariable)
	if err := os.WriteFile(filepath.Join(groups, "cgroup.procs"), []byte("0"), 0); err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("a namespace of control groups: %w", err)
	}
	if err := makeRoot(root); err != nil {
		return err
	}
	if err := syscall.PivotRoot(root, filepath.Join(root, "host")); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := errors.Join(os.Chdir("/"), syscall.Unmount("/host", syscall.MNT_DETACH), os.Remove("/host")); err != nil {
		return err
	}
	// Only the units that are there: nothing of what the host would start.
	env := []string{"container=ringcached-test", "SYSTEMD_UNIT_PATH=/etc/systemd/system", "PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8"}
	return os.NewSyscallError("exec", syscall.Exec(systemdProgram, []string{systemdProgram}, env))
}

// mount is a file system in the machine.
type mount struct {
	path, kind, options string
	flags               uintptr
}

const harmless = syscall.MS_NOSUID | syscall.MS_NODEV

// mounts of kind "" show a directory or a file of the host's at the same path.
var mounts = []mount{
	{"/usr", "", "", syscall.MS_RDONLY},
	{"/proc", "proc", "", harmless},
	{"/sys", "sysfs", "", harmless | syscall.MS_RDONLY},
	{"/sys/fs/cgroup", "cgroup2", "", harmless},
	{"/dev", "tmpfs", "mode=755", syscall.MS_NOSUID},
	{"/dev/shm", "tmpfs", "mode=1777", harmless},
	{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620", syscall.MS_NOSUID | syscall.MS_NOEXEC},
	{"/dev/null", "", "", 0},
	{"/dev/zero", "", "", 0},
	{"/dev/full", "", "", 0},
	{"/dev/random", "", "", 0},
	{"/dev/urandom", "", "", 0},
	{"/dev/tty", "", "", 0},
	{"/run", "tmpfs", "mode=755", harmless},
	{"/tmp", "tmpfs", "mode=1777", harmless},
}

func makeRoot(root string) error {
	if err := syscall.Mount("root", root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for _, dir := range []string{"host", "etc/systemd/system", "var/lib", "var/log", "opt/bin", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64"} {
		to, err := os.Readlink("/" + name)
		if err == nil {
			err = os.Symlink(to, filepath.Join(root, name))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: the tests know systems on which /%s is a link into /usr", err, name)
		}
	}
	for _, m := range mounts {
		if err := m.make(root); err != nil {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	for name, to := range map[string]string{"dev/ptmx": "pts/ptmx", "var/run": "/run"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return writeTree(root)
}

func (m mount) make(root string) error {
	to := filepath.Join(root, m.path)
	info, err := os.Stat(m.path)
	if m.kind == "" && err == nil && !info.IsDir() {
		err = os.WriteFile(to, nil, 0o644)
	} else if m.path != "/sys/fs/cgroup" {
		err = os.MkdirAll(to, 0o755)
	}
	if err != nil {
		return err
	}
	if m.kind != "" {
		return syscall.Mount(m.kind, to, m.kind, m.flags, m.options)
	}
	if err := syscall.Mount(m.path, to, "", syscall.MS_BIND, ""); err != nil || m.flags == 0 {
		return err
	}
	return syscall.Mount("", to, "", syscall.MS_BIND|syscall.MS_REMOUNT|m.flags, "")
}

// targets are all that is to be brought up: the units of the host are not looked at, but for the journal's.
var targets = []string{"sysinit", "basic", "sockets", "network", "multi-user", "shutdown", "umount", "final", "local-fs", "default"}

var journalUnits = []string{"systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket", "-.slice", "system.slice"}

// writeTree writes the files of the machine.
func writeTree(root string) error {
	files := map[string]string{
		"etc/passwd":                        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
		"etc/group":                         "root:x:0:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf":                 "passwd: files systemd\ngroup: files systemd\n",
		"etc/machine-id":                    strings.Repeat("5", 32) + "\n",
		"etc/systemd/system.conf":           "[Manager]\nDefaultTimeoutStopSec=60s\n",
		"etc/systemd/journald.conf":         "[Journal]\nStorage=volatile\nRateLimitBurst=0\n",
		"etc/systemd/system/-.mount":        "[Mount]\nWhat=root\nWhere=/\nType=tmpfs\n",
		"etc/systemd/system/sysinit.target": "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\nAfter=systemd-journald.service\n",
	}
	for _, name := range targets {
		path := "etc/systemd/system/" + name + ".target"
		if _, there := files[path]; !there {
			files[path] = "[Unit]\nDefaultDependencies=no\n"
		}
	}
	files["etc/systemd/system/default.target"] += "Requires=sysinit.target\nAfter=sysinit.target\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, name := range journalUnits {
		from := filepath.Join("/usr/lib/systemd/system", name)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := os.Symlink(from, filepath.Join(root, "etc/systemd/system", name)); err != nil {
			return err
		}
	}
	return nil
}

// parsePID is a process id on a line of its own.
func parsePID(text string) (int, error) { return strconv.Atoi(strings.TrimSpace(text)) }
