package handshake

import (
	"bytes"
	"testing"
)

// FuzzRecords: whatever the bytes and however they are cut, a stream is followed to its end, and by the same counts.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x00"), byte(3))
	f.Add([]byte("get a\r\n"), byte(1))
	f.Add(bytes.Repeat([]byte{22, 3, 3, 0, 1, 1}, 50), byte(7))
	f.Fuzz(func(t *testing.T, stream []byte, piece byte) {
		var whole, cut records
		follow := func(r *records, size int) {
			for rest := stream; len(rest) > 0; {
				n := r.take(rest[:min(size, len(rest))])
				if n <= 0 || n > size {
					t.Fatalf("%d bytes of %d are taken", n, size)
				}
				rest = rest[n:]
			}
		}
		follow(&whole, len(stream)+1)
		follow(&cut, int(piece)+1)
		if whole != cut {
			t.Fatalf("whole: %+v\nin pieces of %d: %+v", whole, int(piece)+1, cut)
		}
		if whole.helloHave > helloLen || whole.left < 0 || whole.have > headerLen {
			t.Fatalf("%+v", whole)
		}
	})
}

// FuzzParseCiphers: a list gives suites of TLS 1.2 or an error of one line, never neither.
func FuzzParseCiphers(f *testing.F) {
	for _, c := range lists {
		f.Add(c.list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		ids, err := ParseCiphers(list)
		if (err == nil) != (len(ids) > 0) || len(ids) > len12 {
			t.Fatalf("%d suites, %v", len(ids), err)
		}
		if err != nil && bytes.ContainsAny([]byte(err.Error()), "\r\n") {
			t.Fatalf("the error is %q", err)
		}
	})
}

// FuzzKey: a key file of any content is refused or understood.
func FuzzKey(f *testing.F) {
	site := newSite(f, "ecdsa")
	f.Add(site.serverCert.keyPEM(f), true)
	f.Add(site.serverCert.keyDER(f), false)
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: x\n\n-----END RSA PRIVATE KEY-----\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, text bool) {
		format := FormatDER
		if text {
			format = FormatPEM
		}
		key, err := parseKey(bytes.Clone(data), format)
		if (err == nil) != (key != nil) {
			t.Fatalf("%v, %v", key, err)
		}
	})
}
