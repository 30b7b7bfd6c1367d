package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// patience is how long anything may take on a busy machine.
const patience = 60 * time.Second

// dial connects to the server. The connection is closed at the end of the test.
func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience * servertest.Slow))
	return conn
}

// send sends text.
func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// get is a request that leaves the connection open.
const get = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

// wantAnswer reads an answer, and returns whether the server closes the connection then.
func wantAnswer(t *testing.T, in *bufio.Reader) (closes bool) {
	t.Helper()
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", answer.Status, err)
	}
	return answer.Close
}

// wantNobody waits until the server has no connection any more.
func wantNobody(t *testing.T, s *Server) {
	t.Helper()
	servertest.Eventually(t, patience, func() error {
		if n := len(s.listener.room); n > 1 { // one element is of the connection that Accept waits for
			return fmt.Errorf("%d connections are left", n-1)
		}
		return nil
	})
}

// TestManyScrapers: many who ask at once are all answered, with numbers.
func TestManyScrapers(t *testing.T) {
	s := start(t, false)
	s.Attach(new(fake))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			client := http.Client{Transport: new(http.Transport), Timeout: patience * servertest.Slow}
			defer client.CloseIdleConnections()
			for range 3 {
				for path, want := range map[string]string{"/metrics": "memcached_up 1", "/stats.json": `"version":"1.6.45"`} {
					answer, err := client.Get("http://" + s.Addr().String() + path)
					if err != nil {
						t.Error(err)
						return
					}
					text, err := io.ReadAll(answer.Body)
					answer.Body.Close()
					if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
						t.Errorf("%s: %s, %v, %d bytes without %s", path, answer.Status, err, len(text), want)
					}
				}
			}
		})
	}
	wg.Wait()
	wantNobody(t, s)
}

// TestIdleMakeRoom: clients that are silent between two requests do not keep others waiting.
func TestIdleMakeRoom(t *testing.T) {
	s := start(t, false)
	for range 2 * connectionsMost {
		conn := dial(t, s)
		send(t, conn, get)
		wantAnswer(t, bufio.NewReader(conn))
	}
}

// TestSilentClients: those that ask for nothing keep others waiting for a while only.
func TestSilentClients(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	for range connectionsMost {
		dial(t, s)
	}
	conn := dial(t, s)
	send(t, conn, get)
	wantAnswer(t, bufio.NewReader(conn))
}

// TestPromisedBody: a client that announces a body, and does not send it, is cut off.
func TestPromisedBody(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	conn := dial(t, s)
	send(t, conn, "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Error(err)
	}
	wantNobody(t, s)
}

// TestPipelined: many requests at once are answered in order, but not faster than a connection may ask.
func TestPipelined(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	conn := dial(t, s)
	const requests = 20
	begin := time.Now()
	send(t, conn, strings.Repeat(get, requests))
	in := bufio.NewReader(conn)
	for range requests {
		wantAnswer(t, in)
	}
	if took, least := time.Since(begin), (requests-1)*requestGap; took < least {
		t.Errorf("%d requests took %v, want %v at least", requests, took, least)
	}
}

// slow is a source that takes a while to answer.
type slow struct{ fake }

const slowTime = 10 * time.Millisecond

func (s *slow) Report(group string, add func(name, value string)) bool {
	if group == "" {
		time.Sleep(slowTime)
	}
	return s.fake.Report(group, add)
}

// TestTurnsRest: answers with numbers that many ask for at once are not made one right after the other.
func TestTurnsRest(t *testing.T) {
	t.Parallel()
	s := start(t, false)
	s.Attach(new(slow))
	begin := time.Now()
	var wg sync.WaitGroup
	for range makingMost + 1 {
		conn := dial(t, s)
		send(t, conn, "GET /stats.json HTTP/1.1\r\nHost: x\r\n\r\n")
		wg.Go(func() {
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Error(err)
			} else if answer.Body.Close(); answer.StatusCode != http.StatusOK {
				t.Error(answer.Status)
			}
		})
	}
	wg.Wait()
	if took, least := time.Since(begin), 2*slowTime+min(restFactor*slowTime, restMost); took < least {
		t.Errorf("%d answers took %v, want %v at least", makingMost+1, took, least)
	}
}

// TestNoParts: a request for a thousand parts of an answer gets all of it, once.
func TestNoParts(t *testing.T) {
	s := start(t, false)
	_, whole := ask(t, s, http.MethodGet, "/")
	conn := dial(t, s)
	send(t, conn, "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes="+strings.Repeat("0-9,", 1000)+"0-9\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || string(text) != whole {
		t.Errorf("%s, %v, %d bytes instead of %d", answer.Status, err, len(text), len(whole))
	}
}

// large is a source with more to say than sockets take.
type large struct {
	fake
	asked atomic.Int32
}

func (l *large) Report(group string, add func(name, value string)) bool {
	if group == "" {
		l.asked.Add(1)
		add("much", strings.Repeat("x", 8<<20))
	}
	return true
}

// TestClientsThatDoNotRead: an answer that nobody takes is not kept.
func TestClientsThatDoNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	source := new(large)
	s := serve(l, false, source, time.Second)
	t.Cleanup(s.Close)
	for range 2 {
		conn := dial(t, s)
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		send(t, conn, "GET /stats.json HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	servertest.Eventually(t, patience, func() error {
		if n := source.asked.Load(); n < 2 {
			return fmt.Errorf("%d of two answers are made", n)
		}
		return nil
	})
	wantNobody(t, s)
}

// TestReleaseEndsIdle: who is to ask again asks the process that has the listener then.
func TestReleaseEndsIdle(t *testing.T) {
	s := start(t, false)
	conn := dial(t, s)
	in := bufio.NewReader(conn)
	for range 2 {
		send(t, conn, get)
		if wantAnswer(t, in) {
			t.Error("the connection is closed after an answer")
		}
	}
	s.Release()
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}
