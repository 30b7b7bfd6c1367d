package bench

import (
	"strings"
	"testing"
)

// TestServersThatCannotBeLoaded are told apart: one that is full, one that wants a password, one that hangs up, one that is something else, and none.
func TestServersThatCannotBeLoaded(t *testing.T) {
	for says, want := range map[string]string{
		refusalLine + "\r\n":                   "the server refused the connection: ERROR Too many open connections (raise its -c)",
		"CLIENT_ERROR unauthenticated\r\n":     "wants a user and a password (-Y)",
		"":                                     "closed the connection without an answer to version",
		"HTTP/1.1 400 Bad Request\r\n":         `is no memcached server: it answered "HTTP/1.1 400 Bad Request" to version`,
		"-ERR unknown command 'version'\r\n":   "is no memcached server: it answered",
		"SERVER_ERROR out of memory today\r\n": "is no memcached server: it answered",
	} {
		o := RunOptions{}
		o.Addr, o.Workload = answerAll(t, says), smallWorkload(nil)
		o.Duration, o.Threads, o.Driver = 1, 1, DriverAuto
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), o.Addr) {
			t.Errorf("answer %q: %v, want %q", says, err, want)
		}
	}
}

// TestRefusedConnections are broken connections that say why, and no error replies.
func TestRefusedConnections(t *testing.T) {
	for _, driver := range []string{DriverRing, DriverNet} {
		t.Run(driver, func(t *testing.T) {
			s := startFake(t, func(n int, reply []byte) ([]byte, bool) {
				if n <= 100 { // the preload
					return reply, false
				}
				return []byte(refusalLine + "\r\n"), true
			})
			r, err := testRun(t, s, driver, smallWorkload(nil), 0)
			if err == nil || !strings.Contains(err.Error(), errConnectionRefused.Error()) {
				t.Errorf("error %v, want %v", err, errConnectionRefused)
			}
			if r == nil || r.Refused != 0 || r.Broken == 0 {
				t.Errorf("result %+v, want broken connections and no error replies", r)
			}
		})
	}
	full := startFake(t, func(int, []byte) ([]byte, bool) { return []byte(refusalLine + "\r\n"), true })
	w := smallWorkload(nil)
	if err := Preload(t.Context(), full.addr(), &w); err == nil || !strings.Contains(err.Error(), errConnectionRefused.Error()) {
		t.Errorf("preload: %v, want %v", err, errConnectionRefused)
	}
}
