package process

import (
	"os"
	"testing"

	"ringcached/internal/servertest"
)

func TestMain(m *testing.M) { os.Exit(servertest.Main(m)) }
