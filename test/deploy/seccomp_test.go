package deploy

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// profile is a seccomp profile of the OCI's runtime specification, which every runtime reads. Docker and Podman have a format of their own beside
// it, with archMap, includes and excludes; containerd skips those and would apply rules for privileged containers to all, so they must not be there.
type profile struct {
	DefaultAction   string   `json:"defaultAction"`
	DefaultErrnoRet int      `json:"defaultErrnoRet"`
	Architectures   []string `json:"architectures"`
	Syscalls        []rule   `json:"syscalls"`
}

type rule struct {
	Comment string           `json:"comment"`
	Names   []string         `json:"names"`
	Action  string           `json:"action"`
	Args    []map[string]any `json:"args"`
}

func readProfile(t *testing.T) (p profile) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(read(t, profilePath)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// ring are the system calls that the profile is there for.
var ring = []string{"io_uring_enter", "io_uring_register", "io_uring_setup"}

// TestProfileIsNarrow: it allows io_uring, refuses all that it does not name, and names nothing that leads out of a container.
func TestProfileIsNarrow(t *testing.T) {
	p := readProfile(t)
	if p.DefaultAction != "SCMP_ACT_ERRNO" || p.DefaultErrnoRet != 38 || !slices.Equal(p.Architectures, []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}) {
		t.Errorf("%+v", p)
	}
	always, withArgs := map[string]int{}, map[string]int{}
	for _, r := range p.Syscalls {
		if r.Action != "SCMP_ACT_ALLOW" || !slices.IsSorted(r.Names) || len(r.Names) == 0 {
			t.Errorf("%+v", r)
		}
		for _, name := range r.Names {
			if len(r.Args) > 0 {
				withArgs[name]++
			} else {
				always[name]++
			}
		}
	}
	for name, n := range always {
		if n > 1 || withArgs[name] > 0 {
			t.Errorf("%s is allowed twice", name)
		}
	}
	for _, name := range ring {
		if always[name] != 1 {
			t.Errorf("%s is not allowed", name)
		}
	}
	for _, name := range []string{
		"acct", "add_key", "bpf", "chroot", "clone3", "delete_module", "finit_module", "fsopen", "init_module", "kexec_load", "keyctl", "mknod", "mount",
		"move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pidfd_getfd", "pivot_root", "process_vm_readv", "process_vm_writev",
		"ptrace", "reboot", "request_key", "setns", "settimeofday", "swapon", "syslog", "umount2", "unshare", "userfaultfd",
	} {
		if always[name]+withArgs[name] > 0 {
			t.Errorf("%s is allowed", name)
		}
	}
	if withArgs["clone"] != 1 || withArgs["socket"] != 4 {
		t.Errorf("with conditions: %v", withArgs)
	}
}

// defaultProfile is where Debian's package of containers' common files has the default profile.
const defaultProfile = "/usr/share/containers/seccomp.json"

// TestProfileAllowsNoMoreThanTheDefault: apart from io_uring the default profile allows every system call of ours, to containers without privileges.
func TestProfileAllowsNoMoreThanTheDefault(t *testing.T) {
	needPackages(t)
	text, err := os.ReadFile(defaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	var usual struct {
		Syscalls []struct {
			Names    []string
			Action   string
			Includes struct{ Caps []string }
		}
	}
	if err := json.Unmarshal(text, &usual); err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, r := range usual.Syscalls {
		for _, name := range r.Names {
			if r.Action == "SCMP_ACT_ALLOW" && len(r.Includes.Caps) == 0 {
				allowed[name] = true
			}
		}
	}
	if len(allowed) < 200 {
		t.Fatalf("%s allows %d system calls: has its format changed?", defaultProfile, len(allowed))
	}
	for _, r := range readProfile(t).Syscalls {
		for _, name := range r.Names {
			if !allowed[name] && !slices.Contains(ring, name) {
				t.Errorf("the default profile does not allow %s", name)
			}
		}
	}
}
