package sut

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ringcached/bench/load"
)

// Names of the servers that a comparison knows how to start.
const (
	Ringcached = "ringcached" // with the engine that it chooses
	Uring      = "uring"
	Epoll      = "epoll"
	Net        = "net"       // the baseline: a goroutine for each connection, see cmd/ringcached-bench/gonet
	Memcached  = "memcached" // Peers' first, or ServerOptions.Memcached
	Null       = "null"      // a NullServer
)

// NetCommand is the command of this program that serves as Net.
const NetCommand = "gonet"

// Valkey is the peer that speaks RESP: it takes part where connections do nothing, and where memory is measured.
const Valkey = "valkey-8"

// Peers are the servers of others that scripts/install-peer unpacks, by its names for them.
var Peers = []string{"memcached-1.6.45", "memcached-1.6.18", Valkey}

var builtInSubjects = slices.Concat([]string{Ringcached, Uring, Epoll, Net, Memcached, Null}, Peers)

// PeerProgram is where scripts/install-peer has put a peer.
func PeerProgram(name string) (path string, err error) {
	dir := os.Getenv("RINGCACHED_PEERS")
	if dir == "" {
		if dir, err = os.UserCacheDir(); err != nil {
			return "", err
		}
		dir = filepath.Join(dir, "ringcached", "peers")
	}
	path = filepath.Join(dir, name, name)
	_, err = os.Stat(path)
	return path, err
}

// Subject is a server that takes part in a comparison.
type Subject struct {
	Name string
	path string   // program to start; empty: it runs already, at addr
	args []string // beside those that every server gets
	// Flags come after all others: those of a series of an experiment.
	Flags []string
	// OverTLS has the server speak TLS and nothing else, and clients too. One that is not started here has to.
	OverTLS bool
	addr    string   // host:port, or unix:PATH
	Stderr  *os.File // of the process; nil: its last words are kept
}

// ServerOptions says how servers are started.
type ServerOptions struct {
	Path      string   `json:"path"`      // ringcached; empty: the one next to this program, or in PATH
	Memcached string   `json:"memcached"` // empty: the first of Peers
	Threads   int      `json:"threads"`
	MemoryMB  int      `json:"memory_mb"`
	User      string   `json:"user"`            // that servers change to when started as root
	Extra     []string `json:"extra,omitempty"` // further arguments for ringcached
	// Variants are ringcached with more arguments yet, under names of their own.
	Variants   []Variant `json:"variants,omitempty"`
	TLSKey     string    `json:"tls_key,omitempty"`     // one of the Key constants, empty: KeyECDSA
	TLSVersion string    `json:"tls_version,omitempty"` // that clients offer, see load.TLS
	// Certificate is that of servers that speak TLS, nil if none does.
	Certificate *Certificate `json:"-"`
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

// Variant returns the variant of the name, nil if there is none.
func (o *ServerOptions) Variant(name string) *Variant {
	if i := slices.IndexFunc(o.Variants, func(v Variant) bool { return v.Name == name }); i >= 0 {
		return &o.Variants[i]
	}
	return nil
}

// Subjects resolves the names of servers: one of builtInSubjects, a variant, or the address of a running one.
func (o *ServerOptions) Subjects(names []string) (all []Subject, err error) {
	for _, name := range names {
		s, err := o.subject(name)
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func (o *ServerOptions) subject(name string) (s Subject, err error) {
	s.Name = name
	peer, program := name, cmp.Or(o.Path, "ringcached")
	if name == Memcached {
		peer = Peers[0]
	}
	switch v := o.Variant(name); {
	case v != nil:
		s.args = slices.Concat(v.Args, o.Extra)
		s.path, err = findProgram(cmp.Or(v.Path, program))
	case name == Ringcached:
		s.args = o.Extra
		s.path, err = findProgram(program)
	case name == Uring || name == Epoll:
		s.args = append([]string{"--engine", name}, o.Extra...)
		s.path, err = findProgram(program)
	case name == Null || name == Net:
		s.path, err = os.Executable()
	case name == Memcached && o.Memcached != "":
		s.path, err = findProgram(o.Memcached)
	case slices.Contains(Peers, peer):
		s.path, err = PeerProgram(peer)
	case load.IsAddress(name):
		s.addr = name
	default:
		known := strings.Join(builtInSubjects, ", ")
		err = fmt.Errorf("not one of %s, a variant, host:port or %sPATH", known, load.UnixPrefix)
	}
	if err != nil && slices.Contains(Peers, peer) {
		err = fmt.Errorf("%w; scripts/install-peer %s unpacks it", err, peer)
	}
	return s, err
}

// Instance is a running subject.
type Instance struct {
	*Subject
	load.Endpoint        // host:port, of UDP too if the load is to use that, or unix:PATH
	dir           string // of a unix socket, removed in the end; empty: none
	version       string
	Process       *Process // nil: not ours
}

// connectionRoom is for connections beside those of the load: memcached counts some of its own.
const connectionRoom = 100

// itemExtra is how many bytes a server must allow an item beside its value: its key, and a header of the server's.
const itemExtra = 4096

// Start starts the server where the workload's transport finds it, or looks for the running one.
func (s *Subject) Start(
	ctx context.Context, o *ServerOptions, cores []int, w *load.Workload,
) (in *Instance, err error) {
	in = &Instance{Subject: s, Endpoint: load.Endpoint{Addr: s.addr}}
	defer func() {
		if err != nil {
			in.Stop()
			in, err = nil, fmt.Errorf("server %s: %w", s.Name, err)
		}
	}()
	if s.OverTLS {
		if in.TLS, err = s.clients(o, w); err != nil {
			return in, err
		}
	}
	if s.path == "" {
		in.version, err = in.AskVersion(ctx)
		return in, err
	}
	if w.TransportOrTCP() == load.TransportUnix {
		if in.dir, err = o.OwnDir(""); err != nil {
			return in, err
		}
		in.Addr = load.UnixPrefix + filepath.Join(in.dir, "socket")
	} else {
		port, err := load.FreePort()
		if err != nil {
			return in, err
		}
		in.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	args, err := s.arguments(o, in.Addr, w)
	if err == nil {
		in.Process, err = startProcess(args, cores, s.Stderr)
	}
	if err == nil {
		ask := in.AskVersion
		if s.Name == Valkey {
			ask = in.askValkey
		}
		in.version, err = awaitServer(ctx, in.Process, in.Endpoint, ask)
	}
	return in, err
}

// askValkey asks a server that speaks RESP for its version.
func (in *Instance) askValkey(ctx context.Context) (version string, err error) {
	err = in.Query(ctx, "INFO server", func(line string) bool {
		var found bool
		version, found = strings.CutPrefix(line, "valkey_version:")
		return !found
	})
	return version, err
}

// OwnDir makes a directory in another one, empty for the one for temporary files. The server, which changes its user
// when started as root, can make its socket and its files there.
func (o *ServerOptions) OwnDir(in string) (string, error) {
	dir, err := os.MkdirTemp(in, "ringcached-bench-")
	if err != nil || os.Geteuid() != 0 {
		return dir, err
	}
	u, err := user.Lookup(o.User)
	if err != nil {
		return dir, fmt.Errorf("the user for servers: %w", err)
	}
	var uid, gid int
	if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &uid, &gid); err != nil {
		return dir, err
	}
	return dir, os.Chown(dir, uid, gid)
}

// arguments is the command line that starts the server on an address.
func (s *Subject) arguments(o *ServerOptions, addr string, w *load.Workload) ([]string, error) {
	request, reply := w.Sizes()
	network, at := load.SplitAddr(addr)
	host, port, err := net.SplitHostPort(at)
	if network != "unix" && err != nil {
		return nil, err
	}
	number, need := strconv.Itoa, w.Connections+connectionRoom
	args := []string{s.path}
	switch s.Name {
	case Null:
		return append(args, Null, "--request", number(request), "--reply", number(reply), addr), nil
	case Valkey: // keeps nothing on a disk and stays the user who starts it
		args = append(args, "--save", "", "--appendonly", "no", "--io-threads", number(o.Threads),
			"--maxmemory", number(o.MemoryMB)+"mb", "--maxmemory-policy", "allkeys-lru", "--maxclients", number(need))
		if network == "unix" {
			return append(append(args, "--port", "0", "--unixsocket", at), s.Flags...), nil
		}
		return append(append(args, "--bind", host, "--port", port), s.Flags...), nil
	case Net: // stays the user who starts it, too
		args = append(args, NetCommand)
	default:
		if os.Geteuid() != 0 {
			break
		}
		if _, err := user.Lookup(o.User); err != nil {
			return nil, fmt.Errorf("the user for servers: %w", err)
		}
		args = append(args, "-u", o.User)
	}
	if network == "unix" {
		args = append(args, "-s", at)
	} else {
		args = append(args, "-l", host, "-p", port)
	}
	if w.Transport == load.TransportUDP {
		args = append(args, "-U", port)
		if !strings.HasPrefix(s.Name, Memcached) && w.Amplifies() {
			args = append(args, "--udp-amplification", "0")
		}
	}
	if s.OverTLS {
		args = append(args, "-Z", "-o", "ssl_chain_cert="+o.Certificate.Chain+",ssl_key="+o.Certificate.Key)
	}
	args = append(args, "-t", number(o.Threads), "-m", number(o.MemoryMB))
	if need > 1024 { // everybody's default
		args = append(args, "-c", number(need))
	}
	if need := w.ValueSize + itemExtra; need > 1<<20 { // likewise
		args = append(args, "-I", number((need+1<<20-1)>>20)+"m")
	}
	return slices.Concat(args, s.args, s.Flags), nil
}

// Stop ends the server, if it was started here. memcached, which has nothing to save, takes half a second for SIGTERM.
func (in *Instance) Stop() {
	if in.Process != nil {
		signal := syscall.SIGTERM
		if strings.HasPrefix(in.Name, Memcached) {
			signal = syscall.SIGKILL
		}
		in.Process.stop(signal)
	}
	if in.dir != "" {
		_ = os.RemoveAll(in.dir)
	}
}

// command is the line that started the server, without the flags of a series.
func (in *Instance) command() string {
	if in.Process == nil {
		return ""
	}
	args := in.Process.args
	return strings.Join(args[:len(args)-len(in.Flags)], " ")
}
