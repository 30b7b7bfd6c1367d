package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

func TestMain(m *testing.M) {
	code := servertest.Main(m)
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

// tool runs a program of tools/deploy, with this standard input, and returns both outputs.
func tool(t *testing.T, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"-C", root + "/tools/deploy"}, args...)...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
