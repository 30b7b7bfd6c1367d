package load

import (
	"strings"
	"testing"

	"ringcached/internal/fakeserver"
)

// TestServersThatCannotBeLoaded distinguishes them: one that is full, one that wants a password, one that hangs up,
// one that is something else, and none.
func TestServersThatCannotBeLoaded(t *testing.T) {
	for says, want := range map[string]string{
		RefusalLine + "\r\n":                   "the server refused the connection: ERROR Too many open connections (raise its -c)",
		"CLIENT_ERROR unauthenticated\r\n":     "wants a user and a password (-Y)",
		"":                                     "closed the connection without an answer to version",
		"HTTP/1.1 400 Bad Request\r\n":         `is no memcached server: it answered "HTTP/1.1 400 Bad Request" to version`,
		"-ERR unknown command 'version'\r\n":   "is no memcached server: it answered",
		"SERVER_ERROR out of memory today\r\n": "is no memcached server: it answered",
	} {
		o := RunOptions{}
		o.Addr, o.Workload = fakeserver.AnswerAll(t, says), SmallWorkload(nil)
		o.Duration, o.Threads, o.Driver = 1, 1, DriverAuto
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), o.Addr) {
			t.Errorf("answer %q: %v, want %q", says, err, want)
		}
	}
}

// TestRefusedConnections are broken connections that say why, and no error replies.
func TestRefusedConnections(t *testing.T) {
	for _, driver := range []string{DriverRing, DriverEpoll} {
		t.Run(driver, func(t *testing.T) {
			s := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
				if n <= 100 { // the preload
					return reply, false
				}
				return []byte(RefusalLine + "\r\n"), true
			})
			r, err := testRun(t, s, driver, SmallWorkload(nil), 0)
			if err == nil || !strings.Contains(err.Error(), ErrConnectionRefused.Error()) {
				t.Errorf("error %v, want %v", err, ErrConnectionRefused)
			}
			if r == nil || r.Refused != 0 || r.Broken == 0 {
				t.Errorf("result %+v, want broken connections and no error replies", r)
			}
		})
	}
	full := fakeserver.Start(t, func(int, []byte) ([]byte, bool) { return []byte(RefusalLine + "\r\n"), true })
	w := SmallWorkload(nil)
	if err := (Endpoint{Addr: full.Addr()}).Preload(t.Context(), &w); err == nil || !strings.Contains(err.Error(), ErrConnectionRefused.Error()) {
		t.Errorf("preload: %v, want %v", err, ErrConnectionRefused)
	}
}
