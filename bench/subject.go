package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names of the servers that a comparison knows how to start.
const (
	SubjectRingcached = "ringcached" // with the engine that it chooses
	SubjectUring      = "uring"
	SubjectEpoll      = "epoll"
	SubjectNet        = "net" // the baseline: a goroutine for each connection, see cmd/ringcached-bench/gonet
	SubjectMemcached  = "memcached"
	SubjectNull       = "null" // a NullServer
)

// NetCommand is the command of this program that serves as SubjectNet.
const NetCommand = "gonet"

var builtInSubjects = []string{SubjectRingcached, SubjectUring, SubjectEpoll, SubjectNet, SubjectMemcached, SubjectNull}

// subject is a server that takes part in a comparison.
type subject struct {
	name string
	path string   // program to start; empty: it runs already, at addr
	args []string // beside those that every server gets
	// flags come after all others: those of a series of an experiment.
	flags  []string
	addr   string   // host:port, or unix:PATH
	stderr *os.File // of the process; nil: its last words are kept
}

// ServerOptions says how servers are started.
type ServerOptions struct {
	Path      string   `json:"path"`      // ringcached; empty: the one next to this program, or in PATH
	Memcached string   `json:"memcached"` // empty: the one in PATH
	Threads   int      `json:"threads"`
	MemoryMB  int      `json:"memory_mb"`
	User      string   `json:"user"`            // that servers change to when started as root
	Extra     []string `json:"extra,omitempty"` // further arguments for ringcached
	// Variants are ringcached with more arguments yet, under names of their own.
	Variants []Variant `json:"variants,omitempty"`
}

// Variant is ringcached with flags that are to be compared with its defaults, or another build of it.
type Variant struct {
	Name string   `json:"name"`
	Args []string `json:"args"`
	Path string   `json:"path,omitempty"` // of the program; empty: ServerOptions.Path
}

// ParseVariant reads a NAME=FLAGS, flags with spaces between them.
func ParseVariant(text string) (v Variant, err error) {
	name, flags, found := strings.Cut(text, "=")
	v = Variant{Name: name, Args: strings.Fields(flags)}
	switch {
	case !found || len(v.Args) == 0:
		return v, fmt.Errorf("%q is not of the form NAME=FLAGS", text)
	case name == "" || strings.ContainsAny(name, " :/") || slices.Contains(builtInSubjects, name):
		return v, fmt.Errorf("%q is no name for a variant", name)
	}
	return v, nil
}

// variant returns the variant of the name, nil if there is none.
func (o *ServerOptions) variant(name string) *Variant {
	i := slices.IndexFunc(o.Variants, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return &o.Variants[i]
}

// subjects resolves the names of servers: one of builtInSubjects, a variant, or the address of a running one.
func (o *ServerOptions) subjects(names []string) ([]subject, error) {
	var all []subject
	for _, name := range names {
		s := subject{name: name}
		var err error
		switch name {
		case SubjectRingcached:
			s.path, err = findProgram(orDefault(o.Path, "ringcached"))
			s.args = o.Extra
		case SubjectUring, SubjectEpoll:
			s.path, err = findProgram(orDefault(o.Path, "ringcached"))
			s.args = append([]string{"--engine", name}, o.Extra...)
		case SubjectNull, SubjectNet:
			s.path, err = os.Executable()
		case SubjectMemcached:
			s.path, err = findProgram(orDefault(o.Memcached, "memcached"))
		default:
			if v := o.variant(name); v != nil {
				s.path, err = findProgram(orDefault(v.Path, orDefault(o.Path, "ringcached")))
				s.args = slices.Concat(v.Args, o.Extra)
			} else if IsAddress(name) {
				s.addr = name
			} else {
				err = fmt.Errorf("not one of %s, a variant, host:port or %sPATH", strings.Join(builtInSubjects, ", "), unixPrefix)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// instance is a running subject.
type instance struct {
	*subject
	addr    string // host:port, of UDP too if the load is to use that, or unix:PATH
	dir     string // of a unix socket, removed in the end; empty: none
	version string
	process *process // nil: not ours
}

// connectionRoom is how many connections a server must allow beside those of the load: memcached counts some of its own.
const connectionRoom = 100

// itemExtra is how many bytes a server must allow an item beside its value: its key, and a header of the server's.
const itemExtra = 4096

// start starts the server where the workload's transport finds it, or looks for the running one.
func (s *subject) start(ctx context.Context, o *ServerOptions, cores []int, w *Workload) (*instance, error) {
	if s.path == "" {
		v, err := askVersion(ctx, s.addr)
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", s.name, err)
		}
		return &instance{subject: s, addr: s.addr, version: v}, nil
	}
	in := &instance{subject: s}
	args, err := in.prepare(o, w)
	if err == nil {
		in.process, err = startProcess(args, cores, s.stderr)
	}
	if err == nil {
		in.version, err = awaitServer(ctx, in.process, in.addr)
	}
	if err != nil {
		in.stop()
		return nil, fmt.Errorf("server %s: %w", s.name, err)
	}
	return in, nil
}

// prepare finds an address for the server, and returns the command line that starts it there.
func (in *instance) prepare(o *ServerOptions, w *Workload) (args []string, err error) {
	if w.transport() == TransportUnix {
		if in.dir, err = o.ownDir(""); err != nil {
			return nil, err
		}
		in.addr = unixPrefix + filepath.Join(in.dir, "socket")
		return in.arguments(o, in.addr, w)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	in.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return in.arguments(o, in.addr, w)
}

// ownDir makes a directory in another one, empty for the one for temporary files. The server, which changes its user when started as root, can make its
// socket and its files there.
func (o *ServerOptions) ownDir(in string) (string, error) {
	dir, err := os.MkdirTemp(in, "ringcached-bench-")
	if err != nil || os.Geteuid() != 0 {
		return dir, err
	}
	u, err := user.Lookup(o.User)
	if err != nil {
		return dir, fmt.Errorf("the user for servers: %w", err)
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if err := errors.Join(uerr, gerr); err != nil {
		return dir, err
	}
	return dir, os.Chown(dir, uid, gid)
}

// arguments is the command line that starts the server on an address.
func (s *subject) arguments(o *ServerOptions, addr string, w *Workload) ([]string, error) {
	if s.name == SubjectNull {
		request, reply := w.sizes()
		return []string{s.path, SubjectNull, "--request", strconv.Itoa(request), "--reply", strconv.Itoa(reply), addr}, nil
	}
	args := []string{s.path}
	if s.name == SubjectNet {
		args = append(args, NetCommand) // stays the user who starts it
	} else if os.Geteuid() == 0 {
		if _, err := user.Lookup(o.User); err != nil {
			return nil, fmt.Errorf("the user for servers: %w", err)
		}
		args = append(args, "-u", o.User)
	}
	if network, at := splitAddr(addr); network == "unix" {
		args = append(args, "-s", at)
	} else {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, err
		}
		args = append(args, "-l", host, "-p", port)
		if w.Transport == TransportUDP {
			args = append(args, "-U", port)
			if s.name != SubjectMemcached && w.amplifies() {
				args = append(args, "--udp-amplification", "0")
			}
		}
	}
	args = append(args, "-t", strconv.Itoa(o.Threads), "-m", strconv.Itoa(o.MemoryMB))
	if need := w.Connections + connectionRoom; need > 1024 { // everybody's default
		args = append(args, "-c", strconv.Itoa(need))
	}
	if need := w.ValueSize + itemExtra; need > 1<<20 { // likewise
		args = append(args, "-I", strconv.Itoa((need+1<<20-1)>>20)+"m")
	}
	return slices.Concat(args, s.args, s.flags), nil
}

func (in *instance) stop() {
	if in.process != nil {
		in.process.stop()
	}
	if in.dir != "" {
		_ = os.RemoveAll(in.dir)
	}
}

// command is the line that started the server, without the flags of a series.
func (in *instance) command() string {
	if in.process == nil {
		return ""
	}
	args := in.process.args
	return strings.Join(args[:len(args)-len(in.flags)], " ")
}

// FreePort finds a port of 127.0.0.1, free for TCP and UDP, below the range that clients' ports come from, so that no connection can take it before the
// server does.
func FreePort() (int, error) {
	for range 100 {
		port := 11300 + rand.IntN(32000-11300)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			continue
		}
		datagrams, err := net.ListenPacket("udp4", addr)
		if err == nil {
			err = datagrams.Close()
		}
		if cerr := l.Close(); err == nil {
			return port, cerr
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
