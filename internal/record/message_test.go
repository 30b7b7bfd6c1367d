package record

import (
	"bytes"
	"testing"
)

// slotOf is where tests have a connection, one for each side.
func slotOf(s *State) uint32 {
	if s.is(client) {
		return 1
	}
	return 2
}

// exchange has one side seal text, and the other open it.
func exchange(t *testing.T, c *Ciphers, from, to *State, text string) {
	t.Helper()
	buf := make([]byte, len(text)+from.Overhead())
	n := c.SealCopy(slotOf(from), from, buf, []byte(text))
	if plain, _, event := c.Open(slotOf(to), to, buf[:n]); event.Kind != EventData || string(plain) != text {
		t.Fatalf("%d bytes sealed, opened %+v", n, event)
	}
}

// TestKeyUpdate: either side replaces its key, asks the other for a new one, and gets it.
func TestKeyUpdate(t *testing.T) {
	for _, id := range suites13 {
		one, other := newStates(t, id)
		c := New(8, heapMemory)
		for range 3 {
			one, other = other, one
			exchange(t, c, one, other, "before")
			exchange(t, c, other, one, "before")
			out, in := one.out.secret, one.in.secret

			update := c.AppendKeyUpdate(slotOf(one), one, nil, true)
			if len(update) != KeyUpdateLen || one.out.secret == out || one.in.secret != in || one.out.seq != 0 {
				t.Fatalf("%d bytes, sequence number %d", len(update), one.out.seq)
			}
			if _, used, event := c.Open(slotOf(other), other, update); event.Kind != EventKeyUpdate || used != len(update) || !other.KeyUpdateDue() {
				t.Fatalf("%+v, due: %v", event, other.KeyUpdateDue())
			}
			exchange(t, c, one, other, "with the new key")
			if n := c.Seal(slotOf(other), other, make([]byte, 100), 10); n != 0 || other.Silent() {
				t.Fatalf("%d bytes were sealed before the answer", n)
			}
			answer := c.AppendKeyUpdate(slotOf(other), other, nil, false)
			if _, _, event := c.Open(slotOf(one), one, answer); event.Kind != EventKeyUpdate || one.KeyUpdateDue() || other.KeyUpdateDue() {
				t.Fatalf("the answer: %+v", event)
			}
			if one.in.secret == in || one.in.secret != other.out.secret || one.out.secret != other.in.secret {
				t.Fatal("the keys differ")
			}
			exchange(t, c, one, other, "after")
			exchange(t, c, other, one, "after")
		}
	}
}

// TestKeyUpdateInPieces: a KeyUpdate comes in any number of records, and one of them may have a session ticket before it.
func TestKeyUpdateInPieces(t *testing.T) {
	message := []byte{keyUpdate, 0, 0, 1, 1}
	for cuts := range 1 << (len(message) - 1) {
		client, server := newStates(t, suites13[0])
		c := New(8, heapMemory)
		var pieces [][]byte
		begin := 0
		for i := range message {
			if i == len(message)-1 || cuts>>i&1 == 1 {
				pieces = append(pieces, message[begin:i+1])
				begin = i + 1
			}
		}
		for i, piece := range pieces {
			if server.KeyUpdateDue() {
				t.Fatalf("%v: due after %d pieces", pieces, i)
			}
			want := EventNone
			if i == len(pieces)-1 {
				want = EventKeyUpdate
			}
			if _, _, event := c.Open(0, server, sealKind(t, client, handshake, piece...)); event.Kind != want {
				t.Fatalf("%v: piece %d is %+v", pieces, i, event)
			}
			if i < len(pieces)-1 {
				if _, err := server.Secrets(); err == nil {
					t.Fatal("a State within a message gave its secrets away")
				}
			}
		}
		if !server.KeyUpdateDue() {
			t.Fatalf("%v: not due", pieces)
		}
	}
	client, server := newStates(t, suites13[0])
	both := append([]byte{newSessionTicket, 0, 0, 3, 1, 2, 3}, message...)
	if _, _, event := New(8, heapMemory).Open(0, client, sealKind(t, server, handshake, both...)); event.Kind != EventKeyUpdate || !client.KeyUpdateDue() {
		t.Fatalf("behind a ticket: %+v", event)
	}
}

// TestSessionTickets: a client takes them and does nothing with them, in pieces, several at once and as long as they may be.
func TestSessionTickets(t *testing.T) {
	client, server := newStates(t, suites13[0])
	c := New(8, heapMemory)
	for _, n := range []int{0, 1, 200, MaxPlain - 4, 65535} {
		ticket := append([]byte{newSessionTicket, 0, byte(n >> 8), byte(n)}, bytes.Repeat([]byte{keyUpdate}, n)...)
		ticket = append(ticket, newSessionTicket, 0, 0, 1, 7)
		for len(ticket) > 0 {
			piece := ticket[:min(len(ticket), MaxPlain)]
			ticket = ticket[len(piece):]
			if _, _, event := c.Open(0, client, sealKind(t, server, handshake, piece...)); event != (Event{}) {
				t.Fatalf("a ticket of %d bytes: %+v", n, event)
			}
		}
		exchange(t, c, server, client, "data")
	}
}

// TestAlertsOfThePeer: what ends a connection, and what does not.
func TestAlertsOfThePeer(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		none := Event{Kind: EventNone}
		for _, a := range []struct {
			level byte
			alert Alert
			in12  Event
			in13  Event
		}{
			{warning, CloseNotify, Event{Kind: EventClosed}, Event{Kind: EventClosed}},
			{fatal, CloseNotify, Event{Kind: EventClosed}, Event{Kind: EventClosed}},
			{warning, UserCanceled, none, none},
			{fatal, UserCanceled, Event{Kind: EventAlert, Alert: UserCanceled}, none},
			{warning, NoRenegotiation, none, Event{Kind: EventAlert, Alert: NoRenegotiation}},
			{fatal, BadRecordMAC, Event{Kind: EventAlert, Alert: BadRecordMAC}, Event{Kind: EventAlert, Alert: BadRecordMAC}},
			{warning, 46, none, Event{Kind: EventAlert, Alert: 46}},
			{0, 46, Event{Kind: EventFatal, Alert: IllegalParameter}, Event{Kind: EventAlert, Alert: 46}},
		} {
			from, to := *client, *server
			c := New(4, heapMemory)
			want := a.in12
			if from.version == 3 {
				want = a.in13
			}
			_, _, event := c.Open(0, &to, sealKind(t, &from, alertRecord, a.level, byte(a.alert)))
			if event != want {
				t.Errorf("%v of level %d: %+v, want %+v", a.alert, a.level, event, want)
			}
			if to.Ended() != (want != none) || to.Silent() != (want.Kind == EventAlert) {
				t.Errorf("%v of level %d: ended %v, silent %v", a.alert, a.level, to.Ended(), to.Silent())
			}
			if n := c.Seal(0, &to, make([]byte, 100), 5); (n == 0) != (want.Kind == EventAlert) {
				t.Errorf("%v of level %d: afterwards %d bytes were sealed", a.alert, a.level, n)
			}
		}
	})
}

// TestOurAlerts: the peer opens them, and nothing but what is said when a request was cancelled is sealed after them.
func TestOurAlerts(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(4, heapMemory)
		for _, a := range []Alert{UserCanceled, CloseNotify, BadRecordMAC, RecordOverflow, NoRenegotiation} {
			from, to := *server, *client
			room := make([]byte, 3, 3+AlertLen)
			sealed := c.AppendAlert(7, &from, room, a)
			if &sealed[0] != &room[0] {
				t.Errorf("%v takes %d bytes, more than AlertLen", a, len(sealed)-3)
			}
			_, _, event := c.Open(8, &to, sealed[3:])
			want := Event{Kind: EventAlert, Alert: a}
			switch {
			case a == CloseNotify:
				want = Event{Kind: EventClosed}
			case a == UserCanceled, a == NoRenegotiation && from.version == 2:
				want = Event{}
			}
			if event != want || from.Silent() != (a != UserCanceled) {
				t.Errorf("%v: %+v, want %+v; silent: %v", a, event, want, from.Silent())
			}
			if a != UserCanceled && (len(c.AppendAlert(7, &from, nil, a)) != 0 || c.Seal(7, &from, make([]byte, 50), 1) != 0 || len(c.AppendKeyUpdate(7, &from, nil, false)) != 0) {
				t.Errorf("after %v something was sealed", a)
			}
		}
	})
}

// TestAlertNames: those that are known have the names of the RFCs, others a number.
func TestAlertNames(t *testing.T) {
	for a, want := range map[Alert]string{CloseNotify: "close_notify", BadRecordMAC: "bad_record_mac", 46: "alert 46"} {
		if a.String() != want {
			t.Errorf("%v, want %s", a, want)
		}
	}
}

// TestEmptyRecordsBetweenData: sixteen in a row are taken, again and again.
func TestEmptyRecordsBetweenData(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(4, heapMemory)
		for range 3 {
			for range uselessMax {
				if _, _, event := c.Open(2, server, sealKind(t, client, applicationData)); event.Kind != EventNone {
					t.Fatalf("%+v", event)
				}
			}
			exchange(t, c, client, server, "data")
		}
	})
}

// TestNoTLS: the zero State is a connection without TLS.
func TestNoTLS(t *testing.T) {
	var s State
	c := New(4, heapMemory)
	if s.Active() || s.Version() != 0 || s.Suite() != 0 || s.Prefix() != 0 || s.Overhead() != 0 || s.KeyUpdateDue() || s.String() != "no TLS" {
		t.Errorf("%v, version %d", &s, s.Version())
	}
	if len(c.AppendAlert(0, &s, nil, CloseNotify)) != 0 || len(c.AppendKeyUpdate(0, &s, nil, true)) != 0 {
		t.Error("something was sealed")
	}
	if _, err := s.Secrets(); err == nil {
		t.Error("there were secrets")
	}
	for name, f := range map[string]func(){
		"Seal": func() { c.Seal(0, &s, make([]byte, 100), 10) },
		"Open": func() { c.Open(0, &s, append([]byte{applicationData, 3, 3, 0, 50}, make([]byte, 50)...)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did something without TLS", name)
				}
			}()
			f()
		}()
	}
}
