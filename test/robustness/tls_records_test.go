package robustness

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"

	"ringcached/internal/record"
	"ringcached/internal/servertest"
)

const (
	asked, answer = "get none\r\n", "END\r\n"
	// flooded is how many records come that bring nothing.
	flooded = 5000
)

// badRecords are what a client sends between two requests, with the alert that it is told.
var badRecords = []struct {
	name    string
	records func(f *forger) []byte
	alert   record.Alert
	only    uint16 // version; 0: both
}{
	{name: "a tag with another bit", alert: record.BadRecordMAC, records: func(f *forger) []byte {
		b := f.data("flush_all\r\n")
		b[len(b)-1] ^= 1
		return b
	}},
	{name: "text with another bit", alert: record.BadRecordMAC, records: func(f *forger) []byte {
		b := f.data("flush_all\r\n")
		b[len(b)-20] ^= 0x80
		return b
	}},
	{name: "a record that is missing", alert: record.BadRecordMAC, records: func(f *forger) []byte {
		f.data("get first\r\n")
		return f.data("flush_all\r\n")
	}},
	{name: "a record twice", alert: record.BadRecordMAC, records: func(f *forger) []byte {
		b := f.data("no command\r\n")
		return append(b, b...)
	}},
	{name: "a record too long", alert: record.RecordOverflow, records: func(*forger) []byte { return []byte{23, 3, 3, 0x48, 0} }},
	{name: "text in the clear", alert: record.UnexpectedMessage, records: func(*forger) []byte { return []byte("flush_all\r\n") }},
	{name: "an unknown type", alert: record.UnexpectedMessage, records: func(*forger) []byte { return []byte{99, 3, 3, 0, 1, 0} }},
	{name: "empty records", alert: record.UnexpectedMessage, records: func(f *forger) (b []byte) {
		for range flooded {
			b = append(b, f.data("")...)
		}
		return b
	}},
	{name: "warnings", alert: record.UnexpectedMessage, records: func(f *forger) (b []byte) {
		for range flooded {
			b = append(b, f.alert(record.UserCanceled)...)
		}
		return b
	}},
	{name: "KeyUpdates", only: tls.VersionTLS13, alert: record.UnexpectedMessage, records: func(f *forger) (b []byte) {
		for range flooded {
			b = append(b, f.keyUpdate()...)
		}
		return b
	}},
}

// TestBadRecords: a record that is wrong, or one too many that brings nothing, ends the connection with its alert. What was asked before it is answered, what
// comes behind it is not, and nothing of it is done.
func TestBadRecords(t *testing.T) {
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.start(t)
		c := mustDial(t, server)
		if err := c.set("first", "value"); err != nil {
			t.Fatal(err)
		}
		c.Close()
		before := rest(t, server)
		for _, bad := range badRecords {
			if bad.only != 0 && bad.only != on.version {
				continue
			}
			t.Run(bad.name, func(t *testing.T) {
				f := newForger(t, on, server)
				f.send(f.data(asked), bad.records(f), f.data("delete first\r\n"))
				want := answer
				if bad.name == "a record twice" {
					want += "ERROR\r\n"
				}
				got, last := f.readEnd()
				if got != want || last.Kind != record.EventAlert || last.Alert != bad.alert {
					t.Errorf("%q and %+v, want %q and the alert %v", got, last, want, bad.alert)
				}
				f.Close()
				other := mustDial(t, server)
				if err := other.get("first", "value"); err != nil {
					t.Errorf("what came behind the wrong record was done: %v", err)
				}
				other.Close()
			})
		}
		expectNoLeak(t, server, before, "first")
		if n := server.Stat(t, "ssl_proto_errors"); n < len(badRecords)-1 {
			t.Errorf("ssl_proto_errors %d", n)
		}
	})
}

// TestRenegotiation: a client of TLS 1.2 that begins another handshake is told that this was unexpected.
func TestRenegotiation(t *testing.T) {
	eachEngineOverTLS(t, tls.VersionTLS12, func(t *testing.T, on transport) {
		server := on.start(t)
		f := newForger(t, on, server)
		f.send(f.handshake12("\x01\x00\x00\x20\x03\x03"))
		if got, last := f.readEnd(); got != "" || last.Kind != record.EventAlert || last.Alert != record.UnexpectedMessage {
			t.Errorf("%q and %+v, want the alert %v", got, last, record.UnexpectedMessage)
		}
	})
}

// TestManyKeyUpdates: a client may ask for new keys with every request, one by one and in a pipeline.
func TestManyKeyUpdates(t *testing.T) {
	const updates = 3000
	eachEngineOverTLS(t, tls.VersionTLS13, func(t *testing.T, on transport) {
		server := on.start(t)
		before := rest(t, server)
		f := newForger(t, on, server)
		for range updates {
			f.send(f.keyUpdate(), f.data(asked))
			if got := f.read(len(answer)); got != answer {
				t.Fatalf("%q", got)
			}
		}
		var all [][]byte
		for range updates {
			all = append(all, f.keyUpdate(), f.data(asked), f.data(""))
		}
		f.send(all...)
		if got := f.read(updates * len(answer)); got != strings.Repeat(answer, updates) {
			t.Error("other replies than were asked for")
		}
		if n := server.Stat(t, "tls_key_updates"); n != 2*updates {
			t.Errorf("tls_key_updates %d", n)
		}
		f.Close()
		expectNoLeak(t, server, before)
	})
}

// TestClosedInRecord: a client that goes away in the middle of a record, by a reset, a FIN or an alert, leaves nothing behind, and what the record began to
// say is not done.
func TestClosedInRecord(t *testing.T) {
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.start(t)
		before := rest(t, server)
		for cut := range 40 {
			f := newForger(t, on, server)
			f.send(f.data(asked), f.data("set cut 0 0 1\r\n1\r\n")[:cut])
			if got := f.read(len(answer)); got != answer {
				t.Fatalf("%q", got)
			}
			switch cut % 3 {
			case 0:
				_ = f.SetLinger(0)
			case 1:
				_ = f.CloseWrite()
				if got, _ := io.ReadAll(f); len(got) > 100 { // close_notify or nothing
					t.Errorf("%d bytes to a client that has gone", len(got))
				}
			}
			f.Close()
		}
		f := newForger(t, on, server)
		f.send(f.alert(record.InternalError))
		if got, last := f.readEnd(); got != "" || last.Kind != record.EventNone {
			t.Errorf("%q and %+v to a client that has given up", got, last)
		}
		expectNoLeak(t, server, before)
		if n := server.Stat(t, "cmd_set"); n != 0 {
			t.Errorf("cmd_set %d", n)
		}
	})
}

// TestIdleInRecord: half a record keeps no connection open.
func TestIdleInRecord(t *testing.T) {
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.start(t, "-o", "idle_timeout=1")
		before := rest(t, server)
		for _, cut := range []int{0, 1, 4, 5, 20} {
			f := newForger(t, on, server)
			f.send(f.data(asked), f.data("set cut 0 0 1\r\n1\r\n")[:cut])
			if got, _ := f.readEnd(); got != answer {
				t.Errorf("%d bytes of a record: %q", cut, got)
			}
			f.Close()
		}
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			if n := server.Stat(t, "idle_kicks"); n < 5 {
				return fmt.Errorf("idle_kicks %d", n)
			}
			return nil
		})
		expectNoLeak(t, server, before)
	})
}
