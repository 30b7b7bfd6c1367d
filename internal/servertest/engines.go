package servertest

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// EachEngine runs a test in both engines, or in uring alone when its Features were
// chosen. epoll always runs otherwise. uring is skipped only where the kernel is older
// than 5.19 or forbids io_uring; where it should work and does not, the test fails.
func EachEngine(t *testing.T, test func(t *testing.T, engine string)) {
	if Features() == "" {
		t.Run("epoll", func(t *testing.T) { test(t, "epoll") })
	}
	t.Run("uring", func(t *testing.T) {
		NeedURing(t)
		test(t, "uring")
	})
}

// Engines returns the engines that can be expected to work here, for tests that
// use several servers together.
func Engines() []string {
	switch {
	case Features() != "":
		return []string{"uring"}
	case whyNoURing() != "":
		return []string{"epoll"}
	}
	return []string{"epoll", "uring"}
}

// NeedURing skips a test where io_uring cannot be expected to work, unless its Features
// were chosen.
func NeedURing(t testing.TB) {
	t.Helper()
	if reason := whyNoURing(); reason != "" {
		if Features() != "" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
}

// whyNoURing asks the kernel itself and not package ring, whose mistakes the
// tests are there to find.
func whyNoURing() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err.Error()
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(release), "%d.%d", &major, &minor); err != nil {
		return "kernel release: " + err.Error()
	}
	if major < 5 || major == 5 && minor < 19 {
		return fmt.Sprintf("kernel %s is older than 5.19, which io_uring takes here", strings.TrimSpace(string(release)))
	}
	const ioURingSetup = 425 // the number of io_uring_setup(2) on every architecture that Go runs on
	var params [120]byte     // struct io_uring_params
	fd, _, errno := syscall.Syscall(ioURingSetup, 1, uintptr(unsafe.Pointer(&params)), 0)
	switch errno {
	case 0:
		syscall.Close(int(fd))
		return ""
	case syscall.EPERM, syscall.ENOSYS:
		return fmt.Sprintf("io_uring is not permitted here: %v; see sysctl kernel.io_uring_disabled, and the seccomp profile of a container", errno)
	}
	return ""
}

// Features is what RINGCACHED_TEST_FEATURES in the environment says, in the words of
// --ring-features: the only features of the kernel that tests of the uring engine may
// use. "" means all of them, and tests of the epoll engine too.
func Features() string { return os.Getenv("RINGCACHED_TEST_FEATURES") }
