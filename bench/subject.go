package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// Names of the servers that a comparison knows how to start.
const (
	SubjectRingcached = "ringcached" // with the engine that it chooses
	SubjectUring      = "uring"
	SubjectEpoll      = "epoll"
	SubjectMemcached  = "memcached"
	SubjectNull       = "null" // a NullServer
)

var builtInSubjects = []string{SubjectRingcached, SubjectUring, SubjectEpoll, SubjectMemcached, SubjectNull}

// subject is a server that takes part in a comparison.
type subject struct {
	name string
	path string   // program to start; empty: it runs already, at addr
	args []string // beside those that every server gets
	addr string
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
		case SubjectNull:
			s.path, err = os.Executable()
		case SubjectMemcached:
			s.path, err = findProgram(orDefault(o.Memcached, "memcached"))
		default:
			if v := o.variant(name); v != nil {
				s.path, err = findProgram(orDefault(v.Path, orDefault(o.Path, "ringcached")))
				s.args = slices.Concat(v.Args, o.Extra)
			} else if _, _, err = net.SplitHostPort(name); err == nil {
				s.addr = name
			} else {
				err = fmt.Errorf("not one of %s, a variant or host:port", strings.Join(builtInSubjects, ", "))
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
	addr    string
	version string
	process *process // nil: not ours
}

// connectionRoom is how many connections a server must allow beside those of the load: memcached counts some of its own.
const connectionRoom = 100

// itemExtra is how many bytes a server must allow an item beside its value: its key, and a header of the server's.
const itemExtra = 4096

// start starts the server on a free port of the loopback, or looks for the running one.
func (s *subject) start(ctx context.Context, o *ServerOptions, cores []int, w *Workload) (*instance, error) {
	if s.path == "" {
		v, err := askVersion(ctx, s.addr)
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", s.name, err)
		}
		return &instance{subject: s, addr: s.addr, version: v}, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args, err := s.arguments(o, port, w)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(args, cores)
	if err != nil {
		return nil, err
	}
	in := &instance{subject: s, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), process: p}
	if in.version, err = awaitServer(ctx, p, in.addr); err != nil {
		p.stop()
		return nil, fmt.Errorf("server %s: %w", s.name, err)
	}
	return in, nil
}

// arguments is the command line that starts the server on a port.
func (s *subject) arguments(o *ServerOptions, port int, w *Workload) ([]string, error) {
	if s.name == SubjectNull {
		request, reply := w.sizes()
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		return []string{s.path, SubjectNull, "--request", strconv.Itoa(request), "--reply", strconv.Itoa(reply), addr}, nil
	}
	args := []string{s.path}
	if os.Geteuid() == 0 {
		if _, err := user.Lookup(o.User); err != nil {
			return nil, fmt.Errorf("the user for servers: %w", err)
		}
		args = append(args, "-u", o.User)
	}
	args = append(args, "-l", "127.0.0.1", "-p", strconv.Itoa(port), "-t", strconv.Itoa(o.Threads), "-m", strconv.Itoa(o.MemoryMB))
	if need := w.Connections + connectionRoom; need > 1024 { // everybody's default
		args = append(args, "-c", strconv.Itoa(need))
	}
	if need := w.ValueSize + itemExtra; need > 1<<20 { // likewise
		args = append(args, "-I", strconv.Itoa((need+1<<20-1)>>20)+"m")
	}
	return append(args, s.args...), nil
}

func (in *instance) stop() {
	if in.process != nil {
		in.process.stop()
	}
}

// command is the line that started the server.
func (in *instance) command() string {
	if in.process == nil {
		return ""
	}
	return strings.Join(in.process.args, " ")
}

// freePort finds a TCP port below the range that clients' ports come from, so that no connection can take it before the server does.
func freePort() (int, error) {
	for range 100 {
		port := 11300 + rand.IntN(32000-11300)
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
