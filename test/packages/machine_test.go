package packages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// keep makes control groups for a machine, runs it until stdin ends, and removes them. The root is $0.
const keep = `set -e
cd "$0"
mount --bind . .
cd "$0"
mount -t cgroup2 cgroup2 mnt
group=mnt/ringcached-packages-$$
mkdir $group
trap 'find $group -depth -type d -exec rmdir {} +' EXIT
unshare --pid --fork --kill-child --mount --propagation=private --net --ipc --uts sh -c "$1" "$0" $group <&- &
cat
systemd=
read -r systemd </proc/$!/task/$!/children || : # no line ends there
[ -z "$systemd" ] || kill -KILL $systemd
wait
`

// become writes the process id that the host knows, and becomes systemd: process 1 of the root, with a network and devices of its own.
const become = `set -e
cd "$0"
read -r pid rest </proc/self/stat
echo 0 >$1/cgroup.procs
exec unshare --cgroup sh -c '
	set -e
	umount mnt
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 dev dev
	for device in null zero full random urandom tty; do
		touch dev/$device
		mount --bind /dev/$device dev/$device
	done
	mkdir dev/shm dev/pts
	mount -t tmpfs -o mode=1777 shm dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	mount -t tmpfs -o mode=755 run run
	pivot_root . mnt
	umount -l /mnt
	echo $0
	exec >/dev/null 2>&1 /usr/bin/env -i container=ringcached-test /usr/lib/systemd/systemd --unit=multi-user.target
' $pid
`

// boot starts systemd in the root, until the test ends. It fails where root may not: the tests of packages are for a machine of their own.
func (r *root) boot(t *testing.T) {
	t.Helper()
	for _, unit := range []string{"systemd-logind.service", "getty.target"} { // they want what is not there, for a minute
		if err := os.Symlink("/dev/null", r.path("/etc/systemd/system/"+unit)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(r.path(policy)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation=private", "sh", "-c", keep, r.dir, become)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.systemd = 0
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, said.String())
		}
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	if r.systemd, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		in.Close()
		t.Fatalf("systemd does not start: %v, %v: %s", err, cmd.Wait(), said.String())
	}
	r.eventually("systemctl", "is-active", "multi-user.target")
}

// inMachine is a command in a root that systemd runs.
func (r *root) inMachine(args ...string) *exec.Cmd {
	enter := []string{"--target", fmt.Sprint(r.systemd), "--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wd", "--"}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = environment
	return cmd
}

// eventually runs a command until it succeeds.
func (r *root) eventually(args ...string) {
	r.t.Helper()
	servertest.Eventually(r.t, patience, func() error {
		if said, err := r.command(args...).CombinedOutput(); err != nil {
			journal, _ := r.command("journalctl", "--no-pager", "--lines=50").CombinedOutput()
			return fmt.Errorf("%s: %w\n%s\n%s", strings.Join(args, " "), err, said, journal)
		}
		return nil
	})
}
