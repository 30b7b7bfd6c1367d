package systemd

import (
	"fmt"
	"os"
	"testing"

	"ringcached/internal/servertest"
)

func TestMain(m *testing.M) {
	if named, err := runStage(); named {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(servertest.Main(m))
}
