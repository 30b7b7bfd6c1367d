package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ringcached/internal/servertest"
)

func TestMain(m *testing.M) {
	code := servertest.Main(m)
	if toolsUsed.Load() {
		if dir, _ := tools(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	if engineUsed.Load() {
		if p, _ := loaded(); p != nil {
			if err := p.remove(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// The root of the repository, and what is tested, from here.
const (
	root        = "../.."
	chartDir    = root + "/deploy/helm/ringcached"
	profilePath = root + "/deploy/seccomp.json"
	migratePath = root + "/docs/migrate.md"
)

// needPackages skips a test that only make test-packages runs. There nothing that it needs may be missing.
func needPackages(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("RINGCACHED_PACKAGES") == "" {
		t.Skip("it takes minutes: make test-packages runs it")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v: scripts/install-test-deps packages installs it", err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tools is a directory with helm, in the version that tools/deploy/go.mod pins, and chartcheck. Without anything in Go's cache helm takes three minutes
// of processor time to build.
var tools = sync.OnceValues(func() (dir string, err error) {
	dir, err = os.MkdirTemp("", "ringcached-tools-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "-C", root+"/tools/deploy", "build", "-o", dir+"/", "helm.sh/helm/v3/cmd/helm", "./chartcheck")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// toolsUsed says that there is such a directory, to be removed at the end.
var toolsUsed atomic.Bool

// tool runs one of the tools, with this standard input, and returns both outputs. Settings and plugins that a user may have for helm are left out.
func tool(t *testing.T, input, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	needPackages(t)
	toolsUsed.Store(true)
	dir, err := tools()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, name), args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	err = cmd.Run()
	return out.String(), errs.String(), err
}
