package packages

import (
	"fmt"
	"os"
	"testing"
)

// wanted in the environment says that these tests shall run.
const wanted = "RINGCACHED_PACKAGES"

func TestMain(m *testing.M) {
	if os.Getenv(wanted) == "" {
		fmt.Println("the tests of packages take minutes: `make test-packages` runs them")
		os.Exit(0)
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "the tests of packages install them below a root directory of their own: run them as root")
		os.Exit(1)
	}
	code := m.Run()
	for _, dir := range []string{built.dir, base.dir} {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}
