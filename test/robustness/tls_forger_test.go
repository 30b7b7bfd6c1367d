package robustness

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"ringcached/internal/handshake"
	"ringcached/internal/record"
	"ringcached/internal/servertest"
)

// forger is a client of TLS that sends what records it likes.
type forger struct {
	*net.TCPConn
	t       *testing.T
	ciphers *record.Ciphers
	state   record.State
	secrets record.Secrets // as they were after the handshake
	in      []byte         // received, and not opened
}

func newForger(t *testing.T, on transport, server *servertest.Server) *forger {
	t.Helper()
	conn, err := net.DialTimeout("tcp", server.Addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	config := on.certificate.Client(false)
	config.MinVersion, config.MaxVersion = on.version, on.version
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} // of TLS 1.2
	result, err := handshake.Connect(conn, config, time.Now().Add(patience))
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{TCPConn: conn.(*net.TCPConn), t: t, secrets: result.Secrets, in: result.Leftover}
	f.ciphers = record.New(2, func(n int) ([]byte, error) { return make([]byte, n), nil })
	if err := f.state.Start(&result.Secrets); err != nil {
		t.Fatal(err)
	}
	return f
}

// data is a record with text.
func (f *forger) data(text string) []byte {
	b := make([]byte, len(text)+f.state.Overhead())
	return b[:f.ciphers.SealCopy(0, &f.state, b, []byte(text))]
}

func (f *forger) alert(a record.Alert) []byte { return f.ciphers.AppendAlert(0, &f.state, nil, a) }

// keyUpdate is a record that asks the server for a KeyUpdate, too.
func (f *forger) keyUpdate() []byte { return f.ciphers.AppendKeyUpdate(0, &f.state, nil, true) }

// handshake12 is a record of TLS 1.2 with the beginning of a handshake message. Nothing can be sealed behind it.
func (f *forger) handshake12(message string) []byte {
	const kind, header = 22, 5
	block, err := aes.NewCipher(f.secrets.Out[:16])
	if err != nil {
		f.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		f.t.Fatal(err)
	}
	const seq = 1 << 20 // any number will do, as the server only counts
	b := make([]byte, header, 100)
	b[0], b[1], b[2] = kind, 3, 3
	binary.BigEndian.PutUint16(b[3:], uint16(8+len(message)+aead.Overhead()))
	b = binary.BigEndian.AppendUint64(b, seq)
	nonce := append(append([]byte{}, f.secrets.Out[16:20]...), b[header:]...)
	extra := binary.BigEndian.AppendUint64(nil, f.secrets.OutSeq)
	extra = append(extra, kind, 3, 3, 0, byte(len(message)))
	return aead.Seal(b, nonce, []byte(message), extra)
}

func (f *forger) send(records ...[]byte) {
	f.t.Helper()
	var all []byte
	for _, r := range records {
		all = append(all, r...)
	}
	_ = f.SetWriteDeadline(time.Now().Add(patience))
	if _, err := f.Write(all); err != nil {
		f.t.Fatal(err)
	}
}

// next opens the next record that comes. It returns its data, and what the record was; false: the connection has ended.
func (f *forger) next() (text string, event record.Event, ok bool) {
	f.t.Helper()
	_ = f.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 64<<10)
	for {
		plain, used, event := f.ciphers.Open(0, &f.state, f.in)
		if event.Kind != record.EventNeed {
			text := string(plain)
			f.in = f.in[used:]
			return text, event, true
		}
		n, err := f.Read(buffer)
		if f.in = append(f.in, buffer[:n]...); n > 0 {
			continue
		}
		if timeout, is := err.(net.Error); is && timeout.Timeout() {
			f.t.Fatal("the server neither answers nor closes")
		}
		if len(f.in) > 0 {
			f.t.Errorf("the server has closed within a record, after %d bytes", len(f.in))
		}
		return "", record.Event{}, false
	}
}

// read reads replies of n bytes.
func (f *forger) read(n int) (text string) {
	f.t.Helper()
	for len(text) < n {
		plain, event, ok := f.next()
		if !ok || event.Kind > record.EventKeyUpdate {
			f.t.Fatalf("after %q: %+v, want %d bytes", text, event, n)
		}
		text += plain
	}
	return text
}

// readEnd reads to the end of the connection: replies, and the alert behind them. A byte after that is an error.
func (f *forger) readEnd() (text string, last record.Event) {
	f.t.Helper()
	for {
		plain, event, ok := f.next()
		text += plain
		switch {
		case !ok:
			return text, last
		case event.Kind == record.EventEnded:
			f.t.Fatalf("%d bytes behind the last record", len(f.in))
		case event.Kind == record.EventFatal:
			f.t.Fatalf("the server sent a wrong record: it takes the alert %v", event.Alert)
		case event.Kind == record.EventAlert, event.Kind == record.EventClosed:
			if last = event; len(f.in) == 0 { // EventEnded needs a byte to be found
				n, err := f.Read(make([]byte, 100))
				if n > 0 {
					f.t.Fatalf("%d bytes behind the last record", n)
				}
				if timeout, is := err.(net.Error); is && timeout.Timeout() {
					f.t.Fatal("the server does not close after its alert")
				}
				return text, last
			}
		}
	}
}
