package handshake

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// dribble is a connection that takes and gives one byte at a time.
type dribble struct{ *net.TCPConn }

func (d dribble) Read(p []byte) (int, error) { return d.TCPConn.Read(p[:min(len(p), 1)]) }

func (d dribble) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		_, err = d.TCPConn.Write(p[n : n+1])
		n++
	}
	return n, err
}

// TestByteByByte: each side's bytes come one by one, in a whole handshake and in one that resumes.
func TestByteByByte(t *testing.T) {
	for _, version := range versions {
		site := newSite(t, "ecdsa")
		server := site.server(t)
		client := site.returning(version)
		for _, wanted := range []Outcome{Done, Resumed} {
			near, far := dial(t)
			e := ended{conn: dribble{near}, client: tls.Client(dribble{far}, client)}
			done := make(chan error)
			go func() { done <- e.client.Handshake() }()
			e.Result, e.err = server.Do(e.conn, time.Now().Add(patience), PeerByMode)
			if err := <-done; e.err != nil || err != nil || e.Outcome != wanted {
				t.Fatalf("%v; server: %v; client: %v", e.Outcome, e.err, err)
			}
			if e.Leftover != nil {
				t.Fatalf("%d bytes are left over", len(e.Leftover))
			}
			talk(t, &e)
		}
	}
}

// together is a connection that keeps what is written to it from the given write on until release.
type together struct {
	*net.TCPConn
	from, writes int
	kept         []byte
}

func (c *together) Write(p []byte) (int, error) {
	c.writes++
	if c.writes < c.from {
		return c.TCPConn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

func (c *together) release() error {
	c.from = c.writes + 1<<30
	_, err := c.TCPConn.Write(c.kept)
	return err
}

// TestDataWithFinished: a client sends data in one segment with its Finished: one record, many, or more than the buffer has.
func TestDataWithFinished(t *testing.T) {
	for _, c := range []struct {
		version uint16
		resumed bool // of TLS 1.2, where a client sends its Finished last only then
	}{{tls.VersionTLS13, false}, {tls.VersionTLS13, true}, {tls.VersionTLS12, true}} {
		for _, texts := range [][]string{{"get a\r\n"}, {"get a\r\n", "x", "get b\r\n"}, {strings.Repeat("z", 5000), "x"}, slices.Repeat([]string{"get a\r\n"}, 500)} {
			site := newSite(t, "ecdsa")
			server := site.server(t)
			config := site.returning(c.version)
			if c.resumed {
				again(t, server, PeerByMode, config, Done)
			}
			near, far := dial(t)
			held := &together{TCPConn: far, from: 2}
			client := tls.Client(held, config)
			done := make(chan error)
			go func() {
				err := client.Handshake()
				for _, text := range texts {
					if err == nil {
						_, err = client.Write([]byte(text))
					}
				}
				if err == nil {
					err = held.release()
				}
				done <- err
			}()
			e := ended{conn: near, client: client}
			e.Result, e.err = server.Do(near, time.Now().Add(patience), PeerByMode)
			if err := <-done; err != nil || e.err != nil || e.Outcome == Resumed != c.resumed {
				t.Fatalf("%v; server: %v; client: %v", e.Outcome, e.err, err)
			}
			if len(e.Leftover) == 0 || len(e.Leftover) > MaxLeftover {
				t.Fatalf("%d bytes are left over", len(e.Leftover))
			}
			l := newLine(t, &e)
			want := strings.Join(texts, "")
			got := ""
			for len(got) < len(want) {
				text, err := l.read()
				if err != nil {
					t.Fatal(err)
				}
				got += text
			}
			if got != want {
				t.Fatal("the data are not what the client sent")
			}
			l.write("END\r\n")
			if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRecords feeds a stream in pieces of every size: what is counted does not depend on them.
func TestRecords(t *testing.T) {
	hello := append([]byte{1, 0, 0, 60, 3, 3}, bytes.Repeat([]byte{7}, 32)...)
	var stream []byte
	add := func(kind byte, body []byte) {
		stream = append(stream, kind, 3, 3, byte(len(body)>>8), byte(len(body)))
		stream = append(stream, body...)
	}
	add(typeHandshake, hello[:5]) // a hello over three records
	add(typeHandshake, hello[5:20])
	add(typeHandshake, append(hello[20:], make([]byte, 300)...))
	add(typeHandshake, nil)
	add(typeChangeCipherSpec, []byte{1})
	add(21, make([]byte, 26))
	add(typeHandshake, make([]byte, 20))
	add(typeHandshake, make([]byte, 44))
	for size := 1; size <= len(stream); size++ {
		var r records
		for rest := stream; len(rest) > 0; {
			n := r.take(rest[:min(size, len(rest))])
			if n == 0 {
				t.Fatal("it stands still")
			}
			rest = rest[n:]
		}
		if r.count != 8 || r.after != 3 || r.handshakes != 2 || r.handshakeBytes != 64 || r.length(0) != 44 || r.length(2) != 26 || r.length(8) != -1 {
			t.Fatalf("pieces of %d: %+v", size, r)
		}
		if !bytes.Equal(r.random(), hello[6:38]) {
			t.Fatalf("pieces of %d: the random is %x", size, r.random())
		}
	}
}

// TestManyAtOnce does handshakes side by side while files are read again, and looks at the sum.
func TestManyAtOnce(t *testing.T) {
	site := newSite(t, "ecdsa")
	server := site.server(t)
	const clients, rounds = 8, 6
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			config := site.returning(versions[i%2])
			for range rounds {
				e := meet(t, server, PeerByMode, config, false)
				if e.err != nil || e.clientErr != nil {
					t.Errorf("server: %v; client: %v", e.err, e.clientErr)
					return
				}
				talk(t, &e)
			}
		})
	}
	group.Go(func() {
		for range 50 {
			if err := server.Refresh(); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
	if counts := server.Counts(); counts[Done] != clients || counts[Resumed] != clients*(rounds-1) || counts.Failed() != 0 {
		t.Errorf("%v", counts)
	}
}

// TestSecretsAreCleared looks at what stays behind in memory that is used again.
func TestSecretsAreCleared(t *testing.T) {
	line := []byte("CLIENT_RANDOM " + strings.Repeat("01", 32) + " " + strings.Repeat("02", 48) + "\n")
	a := newAttempt(nil)
	if n, err := a.keys.Write(line); n != len(line) || err != nil {
		t.Fatal(n, err)
	}
	if !bytes.Equal(a.keys.master.value(), bytes.Repeat([]byte{2}, 48)) {
		t.Fatalf("%x", a.keys.master.value())
	}
	if bytes.ContainsAny(line, "012") {
		t.Errorf("the line is %q still", line)
	}
	for _, bad := range []string{"CLIENT_RANDOM 00 0g\n", "CLIENT_RANDOM 00 " + strings.Repeat("00", 49) + "\n", "SERVER_TRAFFIC_SECRET_0 00 0"} {
		if _, err := a.keys.Write([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	a.end = copy(a.buffer[:], "get secret")
	a.wipe()
	a.buffer = [MaxLeftover]byte{}
	if *a != (attempt{}) {
		t.Error("something of the last handshake is left")
	}
}
