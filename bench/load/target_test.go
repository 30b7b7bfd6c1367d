package load

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringcached/internal/fakeserver"
)

func TestAddressesAndTransports(t *testing.T) {
	long := "unix:/" + strings.Repeat("x", 107)
	for _, c := range []struct{ addr, transport, says string }{
		{"127.0.0.1:11211", TransportTCP, ""},
		{"localhost:11211", TransportUDP, ""},
		{"[::1]:11211", TransportTCP, ""},
		{"unix:/tmp/socket", TransportUnix, ""},
		{long[:len(long)-1], TransportUnix, ""},
		{long, TransportUnix, "1 to 107 bytes"},
		{"unix:", TransportUnix, "1 to 107 bytes"},
		{"unix:/tmp/socket", TransportTCP, "no address for tcp"},
		{"unix:/tmp/socket", TransportUDP, "no address for udp"},
		{"127.0.0.1:11211", TransportUnix, "no address for unix"},
		{"127.0.0.1", TransportTCP, "missing port"},
	} {
		to, err := newTarget(c.addr, c.transport, false)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s over %s: %v, want %q", c.addr, c.transport, err, c.says)
			}
			continue
		}
		if err != nil || !strings.HasSuffix(c.addr, to.path) {
			t.Errorf("%s over %s: %v, %v", c.addr, c.transport, to, err)
		}
	}
	if TransportOf("unix:/x") != TransportUnix || TransportOf("host:1") != "" {
		t.Error("the address's form decides on the transport")
	}
	if !IsAddress("unix:/x") || !IsAddress("host:1") || IsAddress("memcached") {
		t.Error("the form decides what an address is")
	}
}

// TestUnixSocket does what the tests over TCP do, shortly.
func TestUnixSocket(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, change := range []func(*Workload){
			func(w *Workload) { w.Pipeline, w.Gets, w.Sets = 4, 3, 1 },
			func(w *Workload) { w.RequestsPerConnection = 3 },
			func(w *Workload) { w.Rate = 3000 },
			func(w *Workload) { w.ValueSize, w.Keys = 300_000, 3 },
		} {
			s := fakeserver.StartOn(t, "unix:"+filepath.Join(t.TempDir(), "socket"), nil)
			w := SmallWorkload(change)
			w.Transport = TransportUnix
			o := RunOptions{Duration: time.Minute, Preload: true}
			o.Addr, o.Workload, o.Driver, o.Requests = s.Addr(), w, driver, 300
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r := report; r.Errors() != 0 || r.Operations != 300 || r.Misses != 0 {
				t.Errorf("%+v %q", r.Counts, r.Problems)
			}
		}
	})
}

func TestNullServerOnUnixSocket(t *testing.T) {
	w := SmallWorkload(func(w *Workload) { w.Transport = TransportUnix })
	var n NullServer
	n.Request, n.Reply = w.Sizes()
	path := filepath.Join(t.TempDir(), "socket")
	startNullOn(t, n, UnixPrefix+path)
	o := RunOptions{Duration: time.Minute}
	o.Addr, o.Workload, o.Requests, o.Canned = UnixPrefix+path, w, 500, true
	report, err := Run(t.Context(), o)
	if err != nil || report.Failed() != "" || report.Operations != 500 {
		t.Fatalf("%+v, %v", report, err)
	}
}

func TestFreePortIsFreeForDatagrams(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}
