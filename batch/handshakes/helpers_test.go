package handshakes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// pair is a TCP connection: the server's descriptor, which belongs to nobody yet, and the client's end.
func pair(t testing.TB) (fd int, client *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return fd, dialed.(*net.TCPConn)
}

// descriptors lists what is open in the process. The runtime's own poller is opened before.
func descriptors(t testing.TB) map[string]string {
	t.Helper()
	open := map[string]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = to
		}
	}
	return open
}

// checkLeak fails the test if it leaves descriptors open. It is called before anything else registers a clean-up.
func checkLeak(t *testing.T) {
	fd, client := pair(t) // starts the runtime's poller
	unix.Close(fd)
	client.Close()
	before := descriptors(t)
	t.Cleanup(func() {
		for fd, to := range descriptors(t) {
			if before[fd] != to && !t.Failed() {
				t.Errorf("descriptor %s is left open: %s", fd, to)
			}
		}
	})
}

// authority is a certificate that signs itself and is good for servers and clients.
type authority struct {
	cert tls.Certificate
	pool *x509.CertPool
	file string // certificate and key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cache"}, DNSNames: []string{"cache"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, x509.NewCertPool(), filepath.Join(t.TempDir(), "pem")}
	a.pool.AddCert(leaf)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(a.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// server is the handshakes of the product.
func (a *authority) server(t *testing.T) *handshake.Server {
	t.Helper()
	server, err := handshake.New(handshake.Config{Files: handshake.Files{Chain: a.file, CA: a.file}, Mutual: true})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func (a *authority) client() *tls.Config { return &tls.Config{RootCAs: a.pool, ServerName: "cache"} }

// messages are what a pool logs.
type messages struct {
	mu   sync.Mutex
	text []string
}

func (m *messages) log(level int, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = append(m.text, fmt.Sprintf("%d "+format, append([]any{level}, args...)...))
}

func (m *messages) with(word string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range m.text {
		if strings.Contains(text, word) {
			n++
		}
	}
	return n
}

// newPool is a pool that must not complain, closed at the end.
func newPool(t *testing.T, server *handshake.Server, most int, timeout time.Duration) *Pool {
	t.Helper()
	checkLeak(t)
	var logged messages
	p := New(server, most, timeout, logged.log)
	t.Cleanup(func() {
		p.Close()
		if running, waiting := p.InProgress(); running != 0 || waiting != 0 {
			t.Errorf("after Close %d handshakes run and %d wait", running, waiting)
		}
		for _, text := range logged.text {
			if strings.HasPrefix(text, "0 ") {
				t.Errorf("logged: %v", text)
			}
		}
	})
	return p
}

// stub is a pool whose handshakes are do.
func stub(t *testing.T, most int, timeout time.Duration, do func(net.Conn) (handshake.Result, error)) *Pool {
	t.Helper()
	p := newPool(t, new(handshake.Server), most, timeout)
	p.do = func(c net.Conn, _ time.Time, _ handshake.Peer) (handshake.Result, error) { return do(c) }
	return p
}

// ending is how an attempt ended.
type ending struct {
	name   string
	result handshake.Result
	ok     bool
}

// endings gets those of many.
type endings chan ending

func (e endings) done(name string) func(handshake.Result, bool) {
	return func(result handshake.Result, ok bool) { e <- ending{name, result, ok} }
}

func (e endings) next(t *testing.T) ending {
	t.Helper()
	select {
	case end := <-e:
		return end
	case <-time.After(patience):
		t.Fatal("done was not called")
	}
	panic("not reached")
}

// expectFailure takes the next ending, which has to be this failure.
func (e endings) expectFailure(t *testing.T, want handshake.Outcome) {
	t.Helper()
	if end := e.next(t); end.ok || end.result.Outcome != want {
		t.Fatalf("%s: outcome %v, ok %v; want %v", end.name, end.result.Outcome, end.ok, want)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
