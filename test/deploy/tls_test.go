package deploy

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// certificatesDir is where the chart mounts the files of secrets.
const certificatesDir = "/etc/ringcached-tls"

// filesOf are a certificate's by the names that they have in the chart's volume.
func filesOf(c *servertest.Certificate) map[string]string {
	return map[string]string{"tls.crt": c.Chain, "tls.key": c.Key, "ca.crt": c.Chain}
}

// withFilesOf are flags of the chart's pod with files of a certificate in the place of those of secrets.
func withFilesOf(c *servertest.Certificate, flags []string) (replaced []string) {
	var pairs []string
	for name, file := range filesOf(c) {
		pairs = append(pairs, certificatesDir+"/"+name, file)
	}
	replacer := strings.NewReplacer(pairs...)
	for _, flag := range flags {
		replaced = append(replaced, replacer.Replace(flag))
	}
	return replaced
}

// publish makes a volume's files be those of a certificate, as the kubelet does: in a folder of their own, to which a link leads that is replaced
// in one step. Names in the volume are links that lead through it. Only root and the group may read the files.
func publish(t *testing.T, volume string, c *servertest.Certificate, group int) {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	own, err := os.MkdirTemp(volume, "..data_")
	fail(err)
	fail(os.Chmod(own, 0o755))
	for name, file := range filesOf(c) {
		path := filepath.Join(own, name)
		fail(os.WriteFile(path, []byte(read(t, file)), 0o440))
		fail(os.Chmod(path, 0o440)) // whatever the umask
		fail(os.Chown(path, 0, group))
		if _, err := os.Lstat(filepath.Join(volume, name)); err != nil {
			fail(os.Symlink("..data/"+name, filepath.Join(volume, name)))
		}
	}
	fail(os.Symlink(filepath.Base(own), filepath.Join(volume, "..data_tmp")))
	fail(os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
}

// secureAsk is ask over TLS, of a client that trusts the certificate, and may show it.
func secureAsk(address string, c *servertest.Certificate, show bool, request string) (string, error) {
	conn, err := tls.Dial("tcp", address, c.Client(show))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return ask(conn, request)
}

// ask sends lines and quit, and returns what comes until the server closes.
func ask(conn net.Conn, request string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, request+"quit\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// listeningTwice finds the second address of a server whose first has TLS.
var listeningTwice = regexp.MustCompile(`listening on \S+ \(TLS\), (127\.0\.0\.1:\d+)\n`)

// TestCertificatesOfTheChart runs the server with the flags of the chart, and files as the kubelet mounts them, as a user who reads them by the group
// of fsGroup: clients need certificates, the other port is plain, and what the kubelet has replaced is served after refresh_certs.
func TestCertificatesOfTheChart(t *testing.T) {
	needPackages(t)
	if os.Geteuid() != 0 {
		t.Skip("only root may run a program as another user")
	}
	objects := rendered(t, "--set", "tls.enabled=true,tls.existingSecret=mine,tls.verifyMode=2,tls.minVersion=1.3,tls.plainPort=11311,cache.threads=1")
	for _, want := range []string{"fsGroup: 11211\n", "defaultMode: 0440\n", "mountPath: " + certificatesDir + "\n"} {
		if !strings.Contains(objects, want) {
			t.Fatalf("another pod than the one that is run here: no %q in\n%s", want, objects)
		}
	}
	const user, group = 11212, 11211 // only the group lets the user read them
	volume := servertest.PublicDir(t)
	before := servertest.NewCertificate(t, "before")
	publish(t, volume, before, group)

	var flags []string
	for _, flag := range flagsOf(t, objects) {
		switch {
		case flag == "--listen=*:11211,notls:*:11311":
			flag = "--listen=127.0.0.1:0,notls:127.0.0.1:0"
		case strings.HasPrefix(flag, "--port="), strings.HasPrefix(flag, "--metrics="), strings.HasPrefix(flag, "--engine="), strings.HasPrefix(flag, "--drain-delay="):
			continue // of the pod, and not of this test
		}
		flags = append(flags, strings.ReplaceAll(flag, certificatesDir, volume))
	}
	if !slices.Contains(flags, "--listen=127.0.0.1:0,notls:127.0.0.1:0") {
		t.Fatalf("flags %q", flags)
	}
	server := servertest.StartCommand(t, servertest.Engines()[0], func(args []string) *exec.Cmd {
		cmd := exec.Command(servertest.Binary(), args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user, Groups: []uint32{group}}}
		return cmd
	}, flags...)
	secure := server.Addr
	listed := listeningTwice.FindStringSubmatch(server.Log())
	if listed == nil {
		t.Fatalf("it does not listen on a port with TLS and one without: %s", server.Log())
	}
	plain, err := net.Dial("tcp", listed[1])
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	const set, stored = "set k 0 0 1\r\nv\r\n", "STORED\r\n"
	if got, err := secureAsk(secure, before, true, set); err != nil || got != stored {
		t.Fatalf("over TLS: %q, %v", got, err)
	}
	if got, err := secureAsk(secure, before, false, set); err == nil {
		t.Errorf("a client without a certificate gets %q", got)
	}
	after := servertest.NewCertificate(t, "after")
	publish(t, volume, after, group)
	if got, err := ask(plain, "refresh_certs\r\nget k\r\n"); err != nil || got != "OK\r\nVALUE k 0 1\r\nv\r\nEND\r\n" {
		t.Fatalf("without TLS: %q, %v", got, err)
	}
	if got, err := secureAsk(secure, after, true, set); err != nil || got != stored {
		t.Errorf("with the new certificate: %q, %v", got, err)
	}
	if got, err := secureAsk(secure, before, true, set); err == nil {
		t.Errorf("with the old certificate: %q", got)
	}
}
