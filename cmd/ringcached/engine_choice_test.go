package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/seccomp"
	"ringcached/internal/servertest"
)

// Numbers of system calls, on every architecture that Go runs on.
const (
	ioURingSetup    = 425
	ioURingEnter    = 426
	ioURingRegister = 427
)

const registerPBUFRing = 22

// shortage is something that keeps a server from using io_uring.
type shortage struct {
	name    string
	command func(program string, args ...string) *exec.Cmd
	why     string // auto takes epoll because of it, and uring fails with it; one of several, separated by |
}

// refusing makes a shortage of what a system call returns.
func refusing(name string, rule seccomp.Rule, why string) shortage {
	return shortage{name, func(program string, args ...string) *exec.Cmd {
		return seccomp.Command([]seccomp.Rule{rule}, program, args...)
	}, why}
}

// lockingAtMost makes a shortage of locked memory, which kernels from 6.14 to 7.2.10 count by user.
func lockingAtMost(kib, threads int) shortage {
	return shortage{fmt.Sprintf("%d KiB of locked memory for %d threads", kib, threads), func(program string, args ...string) *exec.Cmd {
		script := fmt.Sprintf(`ulimit -l %d && exec "$0" "$@" -t %d`, kib, threads)
		cmd := exec.Command("/bin/sh", append([]string{"-c", script, program}, args...)...)
		asNobodyElse(cmd)
		return cmd
	}, fmt.Sprintf("cannot lock memory: %d threads need %d KiB, the limit is %d KiB: raise it with LimitMEMLOCK=%dK in a unit, ulimit -l %d in a shell or --ulimit memlock=%d for a container",
		threads, threads*116, kib, 2*threads*116, 2*threads*116, 2*threads*116<<10)}
}

// strangers counts the users whom asNobodyElse has made up. It begins anywhere, for other runs of the test make up some, too.
var strangers atomic.Uint32

func init() { strangers.Store(rand.Uint32()) }

// asNobodyElse runs a command as a user who runs nothing else, if the test may.
func asNobodyElse(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		id := 60000 + strangers.Add(1)%5000
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: 65534}}
	}
}

var shortages = []shortage{
	refusing("setup EPERM", seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.EPERM}, "io_uring_setup: operation not permitted (forbidden by sysctl kernel.io_uring_disabled or a seccomp filter)"),
	refusing("setup ENOSYS", seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.ENOSYS}, "io_uring_setup: function not implemented"),
	refusing("setup EINVAL", seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.EINVAL}, "io_uring_setup: invalid argument (requires >= 5.19)"),
	refusing("setup EMFILE", seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.EMFILE}, "io_uring_setup: too many open files (RLIMIT_NOFILE)"),
	refusing("setup ENFILE", seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.ENFILE}, "io_uring_setup: too many open files in system"),
	refusing("setup ENOMEM", seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.ENOMEM}, "cannot allocate memory|cannot lock memory"),
	refusing("full rings ENOMEM", seccomp.Rule{Call: ioURingSetup, Arg: 0, Value: 512, Errno: syscall.ENOMEM}, "cannot allocate memory|cannot lock memory"),
	refusing("full rings EMFILE", seccomp.Rule{Call: ioURingSetup, Arg: 0, Value: 512, Errno: syscall.EMFILE}, "io_uring_setup: too many open files"),
	refusing("enter EPERM", seccomp.Rule{Call: ioURingEnter, Arg: -1, Errno: syscall.EPERM}, "io_uring_enter: operation not permitted (forbidden by a seccomp filter)"),
	refusing("register EPERM", seccomp.Rule{Call: ioURingRegister, Arg: -1, Errno: syscall.EPERM}, "io_uring_register: operation not permitted (forbidden by a seccomp filter)"),
	refusing("buffer ring ENOMEM", seccomp.Rule{Call: ioURingRegister, Arg: 1, Value: registerPBUFRing, Errno: syscall.ENOMEM}, "cannot allocate memory|cannot lock memory"),
	refusing("buffer ring EINVAL", seccomp.Rule{Call: ioURingRegister, Arg: 1, Value: registerPBUFRing, Errno: syscall.EINVAL}, "registering a buffer ring (requires >= 5.19"),
	refusing("mapping the rings ENOMEM", seccomp.Rule{Call: syscall.SYS_MMAP, Arg: 5, Value: 0x10000000, Errno: syscall.ENOMEM}, "mapping the submission entries: cannot allocate memory"),
}

// TestAutoNeverEnds: whatever of io_uring is unavailable, auto serves with epoll at once, and says why and what mends it; check says the
// same, and uring fails with the reason.
func TestAutoNeverEnds(t *testing.T) {
	servertest.NeedURing(t)
	for _, s := range shortages {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.check(t)
		})
	}
}

// TestAutoWithLittleLockedMemory: as the limits of systems are, for few threads and for many.
func TestAutoWithLittleLockedMemory(t *testing.T) {
	servertest.NeedURing(t)
	needLockedRings(t)
	for _, s := range []shortage{lockingAtMost(64, 4), lockingAtMost(8192, 80), lockingAtMost(0, 2), lockingAtMost(463, 4)} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.check(t)
		})
	}
}

// needLockedRings skips a test where rings do not count as locked memory. They do from 6.14 to 7.2.10, and elsewhere as distributions please,
// so it is tried.
func needLockedRings(t *testing.T) {
	t.Helper()
	s := lockingAtMost(0, 1)
	if _, err := s.run("check", "--engine", "uring"); err == nil {
		t.Skip("this kernel does not count rings as locked memory: run the test on one that does, such as 6.18")
	}
	if os.Getpagesize() != 4096 {
		t.Skip("how much is needed depends on the size of pages")
	}
}

func (s *shortage) says(text string) bool {
	for why := range strings.SplitSeq(s.why, "|") {
		if strings.Contains(text, why) {
			return true
		}
	}
	return false
}

func (s *shortage) check(t *testing.T) {
	server := servertest.StartCommand(t, "auto", func(args []string) *exec.Cmd { return s.command(servertest.Binary(), args...) })
	said := server.Log()
	if !strings.Contains(said, ": engine epoll (no io_uring: ") || !s.says(said) || strings.Count(said, "\n") != 1 {
		t.Errorf("the server says %q", said)
	}
	if got := server.Stats(t, "batch")["engine"]; got != "epoll" {
		t.Errorf("engine %s", got)
	}
	_, line, _ := strings.Cut(said, "engine epoll (")
	why, _, _ := strings.Cut(line, "), ")
	checked, err := s.run("check")
	if err != nil || !strings.Contains(checked, "\n# engine epoll: "+why+"\n") {
		t.Errorf("check: %v, it does not say %q:\n%s", err, why, checked)
	}
	out, err := s.run("--engine", "uring", "-l", "127.0.0.1", "-p", "-1")
	if err == nil || !strings.Contains(out, "ringcached: engine uring: ") || !s.says(out) {
		t.Errorf("uring: %v, %s", err, out)
	}
}

// run runs the program to its end under the shortage, and returns what it writes.
func (s *shortage) run(args ...string) (string, error) {
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := s.command(servertest.Binary(), args...)
	cmd.Dir = "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	late := time.AfterFunc(time.Minute*servertest.Slow, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Wait()
	return out.String(), err
}

// TestProbeSaysWhatAutoTakes: under a shortage that has nothing to do with threads, probe tells of the same choice.
func TestProbeSaysWhatAutoTakes(t *testing.T) {
	servertest.NeedURing(t)
	for _, s := range shortages {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			out, err := s.command(servertest.Binary(), "probe").CombinedOutput()
			_, said, _ := strings.Cut(string(out), "--engine auto takes ")
			if err != nil || !strings.HasPrefix(said, "epoll: no io_uring: ") || !s.says(said) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestOperationsDeniedToTheTask: kernels from 7.0 on can deny single operations to all rings of a process.
func TestOperationsDeniedToTheTask(t *testing.T) {
	servertest.NeedURing(t)
	for name, code := range map[string]uint8{
		"poll_add": 6, "sendmsg": 9, "recvmsg": 10, "accept": 13, "async_cancel": 14, "close": 19, "send": 26, "recv": 27, // enum io_uring_op
	} {
		t.Run(name, func(t *testing.T) {
			out, err := seccomp.CommandWithout([]uint8{code}, servertest.Binary(), "probe").CombinedOutput()
			if exit, ended := err.(*exec.ExitError); ended && exit.ExitCode() == seccomp.NotThere {
				t.Skipf("it takes a kernel of 7.0 or later with CONFIG_IO_URING_BPF: %s", out)
			}
			want := fmt.Sprintf("--engine auto takes epoll: no io_uring: operation %s: denied (permission denied)\n", name)
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, no %q in\n%s", err, want, out)
			}
			s := shortage{command: func(program string, args ...string) *exec.Cmd {
				return seccomp.CommandWithout([]uint8{code}, program, args...)
			}, why: fmt.Sprintf("operation %s: denied", name)}
			s.check(t)
		})
	}
}

// TestAutoWarnsOfUnusedFlags: what was asked of io_uring and is not done is said.
func TestAutoWarnsOfUnusedFlags(t *testing.T) {
	rule := seccomp.Rule{Call: ioURingSetup, Arg: -1, Errno: syscall.EPERM}
	server := servertest.StartCommand(t, "auto", func(args []string) *exec.Cmd {
		return seccomp.Command([]seccomp.Rule{rule}, servertest.Binary(), args...)
	}, "--sqpoll", "10ms", "--send-zc", "5000")
	servertest.Eventually(t, 10*time.Second*servertest.Slow, func() error {
		if want := "warning: without effect, for the engine is epoll: --sqpoll, --send-zc\n"; !strings.Contains(server.Log(), want) {
			return fmt.Errorf("no %q in %q", want, server.Log())
		}
		return nil
	})
}

// TestFewDescriptors: where descriptors are too few for either engine the server says so, and does not crash; check foretells it.
func TestFewDescriptors(t *testing.T) {
	servertest.NeedURing(t)
	for files := 16; files <= 26; files++ {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			t.Parallel()
			s := shortage{command: func(program string, args ...string) *exec.Cmd {
				script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@" -l 127.0.0.1 -c 10 -t 4`, files)
				cmd := exec.Command("/bin/sh", append([]string{"-c", script, program}, args...)...)
				cmd.Env = append(os.Environ(), "MALLOC_ARENA_MAX=1") // a build with cgo: glibc's malloc opens a file in a thread that takes an arena, to count the processors
				asNobodyElse(cmd)
				return cmd
			}}
			checked, err := s.run("check", "--engine", "auto")
			_, engine, _ := strings.Cut(checked, "\n# engine ")
			if err != nil {
				out, err := s.run("-p", "-1")
				if err == nil || strings.Contains(out, "goroutine ") || !strings.Contains(out, "too many open files") || !strings.Contains(checked, "too many open files") {
					t.Errorf("%v, %.2000s\ncheck: %s", err, out, checked)
				}
				return
			}
			server := servertest.StartCommand(t, "auto", func(args []string) *exec.Cmd { return s.command(servertest.Binary(), args...) })
			if name, _, _ := strings.Cut(engine, ":"); !strings.Contains(server.Log(), ": engine "+name+" (") {
				t.Errorf("check says %s, the server says\n%s", engine, server.Log())
			}
		})
	}
}

// TestHandOverWithLittleLockedMemory: two servers of one user may not find room for the rings of both. The new one then takes epoll, or,
// where uring was asked for, the old one serves on.
func TestHandOverWithLittleLockedMemory(t *testing.T) {
	servertest.NeedURing(t)
	needLockedRings(t)
	for engine, want := range map[string]string{
		"auto":  ": engine epoll (no io_uring: cannot lock memory: 2 threads need 232 KiB, and other processes of the user leave less of its limit of 300 KiB: raise it with LimitMEMLOCK=infinity in a unit, ulimit -l unlimited in a shell or --ulimit memlock=-1 for a container)",
		"uring": "hand-over failed, serving on: ",
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			cmd := lockingAtMost(300, 2).command(servertest.Binary(), "-v", "-l", "127.0.0.1", "-p", "-1", "--engine", engine)
			cmd.Dir = "/"
			server := servertest.StartLineage(t, cmd, t.TempDir()+"/log", time.Minute*servertest.Slow)
			server.WantLog(": engine uring (", 1)
			server.Signal(syscall.SIGUSR2)
			server.WantLog(want, 1)
			if engine == "auto" {
				server.WantLog("handed over to process ", 1)
				server.Follow()
			}
		})
	}
}

// TestTimerDenied: a server whose timers do not run could neither stop nor close idle clients. It does not start, and says why.
func TestTimerDenied(t *testing.T) {
	for _, engine := range []string{"auto", "uring", "epoll"} {
		cmd := seccomp.Command([]seccomp.Rule{{Call: syscall.SYS_TIMERFD_SETTIME, Arg: -1, Errno: syscall.EPERM}},
			servertest.Binary(), "--engine", engine, "-l", "127.0.0.1", "-p", "-1", "-u", "nobody")
		out, err := cmd.CombinedOutput()
		if err == nil || string(out) != "ringcached: timerfd_settime: operation not permitted\n" {
			t.Errorf("%s: %v, %s", engine, err, out)
		}
	}
}

// TestRingFeatures: --ring-features leaves the server no more than it names. On any kernel
// that is as new as the release all of them are left.
func TestRingFeatures(t *testing.T) {
	servertest.NeedURing(t)
	in60 := "restrictions,multishot-recv,single-issuer"
	in61 := in60 + ",defer-taskrun,partial-send,sendmsg-zc"
	for _, test := range []struct{ chosen, most string }{
		{"none", ""},
		{"5.19", "restrictions"},
		{"6.0,-restrictions", "multishot-recv,single-issuer"},
		{"6.0", in60},
		{"6.1", in61},
		{"multishot-recv,min-timeout", "multishot-recv,min-timeout"},
	} {
		t.Run(test.chosen, func(t *testing.T) {
			t.Parallel()
			server := servertest.Start(t, "uring", "--ring-features", test.chosen)
			used := server.Stats(t, "batch")["features"]
			for _, name := range strings.FieldsFunc(used, func(r rune) bool { return r == ',' }) {
				if !strings.Contains(","+test.most+",", ","+name+",") {
					t.Errorf("uses %s", name)
				}
			}
		})
	}
}
