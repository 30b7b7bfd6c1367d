package record

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	stdsha256 "crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	stdhash "hash"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The secrets of RFC 8448, section 3, and what follows from them.
const (
	rfc8448Client    = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
	rfc8448Server    = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
	rfc8448ClientKey = "17422dda596ed5d9acd890e3c63f5051"
	rfc8448ClientIV  = "5b78923dee08579033e523d9"
	rfc8448ServerKey = "9f02283b6c9c07efc26bb9f2ac92e356"
	rfc8448ServerIV  = "cf782b88dd83549aadf1e984"
)

// rfc8448 are the records of that connection after the handshake, but for the server's session ticket: it had number 0.
var rfc8448 = []struct {
	fromClient bool
	kind       byte
	plain      string
	record     string
}{
	{true, applicationData, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031",
		"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4"},
	{false, applicationData, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031",
		"17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"},
	{true, alertRecord, "0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
	{false, alertRecord, "0100", "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"},
}

// rfc8448States are the two sides, after the server's ticket.
func rfc8448States(t *testing.T) (client, server *State) {
	t.Helper()
	client, server = new(State), new(State)
	for s, isClient := range map[*State]bool{client: true, server: false} {
		k, err := FromTraffic(tls.TLS_AES_128_GCM_SHA256, isClient, unhex(t, rfc8448Client), unhex(t, rfc8448Server))
		if err != nil {
			t.Fatal(err)
		}
		if isClient {
			k.InSeq = 1
		} else {
			k.OutSeq = 1
		}
		if err := s.Start(&k); err != nil {
			t.Fatal(err)
		}
	}
	return client, server
}

func TestRFC8448(t *testing.T) {
	client, server := rfc8448States(t)
	for _, d := range []struct {
		d       direction
		key, iv string
	}{
		{client.out, rfc8448ClientKey, rfc8448ClientIV}, {server.in, rfc8448ClientKey, rfc8448ClientIV},
		{client.in, rfc8448ServerKey, rfc8448ServerIV}, {server.out, rfc8448ServerKey, rfc8448ServerIV},
	} {
		if hex.EncodeToString(d.d.key[:16]) != d.key || hex.EncodeToString(d.d.iv[:]) != d.iv {
			t.Errorf("key %x, IV %x, want %s and %s", d.d.key[:16], d.d.iv, d.key, d.iv)
		}
	}
	c := New(4, heapMemory)
	for i, r := range rfc8448 {
		from, to := server, client
		if r.fromClient {
			from, to = client, server
		}
		var sealed []byte
		if r.kind == alertRecord {
			sealed = c.AppendAlert(0, from, nil, CloseNotify)
		} else {
			sealed = make([]byte, len(r.plain)/2+from.Overhead())
			c.SealCopy(0, from, sealed, unhex(t, r.plain))
		}
		if hex.EncodeToString(sealed) != r.record {
			t.Errorf("record %d is %x, want %s", i, sealed, r.record)
		}
		plain, used, event := c.Open(1, to, unhex(t, r.record))
		if r.kind == alertRecord {
			if event.Kind != EventClosed {
				t.Errorf("record %d: %+v", i, event)
			}
		} else if event.Kind != EventData || used != len(sealed) || hex.EncodeToString(plain) != r.plain {
			t.Errorf("record %d: %+v, %x", i, event, plain)
		}
	}
}

// vectors12 are of connections between two ends of crypto/tls: the secrets of their handshake, and the first two records of the client after it.
var vectors12 = []struct {
	suite                      uint16
	master                     string
	clientRandom, serverRandom string
	records                    [2]string
}{
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"12a5702c6a630394bbe176d6089962fde2b5a1f44b754908659c0b4693e7649a75cb8e94a60ee3dc3e5db00ed5d9aad8",
		"f4c9795e64462140f018aba1928bd1cad192c297c3b0c5385b4c5d7045221cbb", "70180bdd9b90853e6f10e7601225d920c3106130285dce1ff1a4a2cdb3df85cf",
		[2]string{"170303001f0000000000000001b676a1d1f73a22739ff9adf479111388399a7ff21ea775", "1703030021000000000000000241551a3581ecff8ac51d678f4b4adb0b3d11b44dabe26134f2"}},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"a65ce5c0139da7f6fb542e990fbda82dadea23bd930f9256c2c734c47ff7dfac7cf831c360d927168ddcfcd5b13c6aac",
		"e35b53adc54ec7086202d8e6360c048adc5eef72103677e036390559dd65740e", "046c6f14654a3ca9c7e70a9069283de5dbb9a80de19479e4b25978a495dc60ad",
		[2]string{"170303001f00000000000000011ab98a9f42c846855a4c928cf208470849195efad5228f", "17030300210000000000000002758e00ee174ee1708051d00d5792ffe312ed7e711840d5c355"}},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"89c2e4fee7e9fee70cdffcbd4b424ad0e6988e8cb34beabaf7364ae9d4bfdbf15c2ca4b3f45e6a333323848eb6ca4b63",
		"651ad59d66785457a343b3fa1252fae351c2671504380c26317f264addab5708", "4559e7b16305564502adb820d0151afcdd80c3c4276bef0ea70629aae7b9361c",
		[2]string{"170303001714a73422a9ac832b9cb5036f700a199969f896188e26da", "1703030019e45ded3cea213f1cd2446d80c0074be135bcac833df0bbf5a9"}},
}

func TestVectors12(t *testing.T) {
	c := New(4, heapMemory)
	for _, v := range vectors12 {
		var states [2]State
		for i, isClient := range []bool{true, false} {
			k, err := FromMaster(v.suite, isClient, unhex(t, v.master), unhex(t, v.clientRandom), unhex(t, v.serverRandom))
			if err != nil {
				t.Fatal(err)
			}
			if err := states[i].Start(&k); err != nil {
				t.Fatal(err)
			}
		}
		for i, text := range []string{"get a\r\n", "get bcd\r\n"} {
			buf := make([]byte, len(text)+states[0].Overhead())
			if c.SealCopy(1, &states[0], buf, []byte(text)); hex.EncodeToString(buf) != v.records[i] {
				t.Errorf("%s: record %d is %x, want %s", tls.CipherSuiteName(v.suite), i, buf, v.records[i])
			}
			if plain, _, event := c.Open(2, &states[1], unhex(t, v.records[i])); string(plain) != text {
				t.Errorf("%s: record %d: %+v", tls.CipherSuiteName(v.suite), i, event)
			}
		}
	}
}

// TestPRF: the vector for SHA-256 that the TLS working group's members published, and the same function by crypto/hmac for both hashes.
func TestPRF(t *testing.T) {
	got := make([]byte, 100)
	sha256Hash.prf(got, unhex(t, "9bbe436ba940f017b17652849a71db35"), "test label", unhex(t, "a0ba9f936cda311827a6f796ffd5198c"))
	const want = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564b" +
		"ab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
	if hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
	for h, std := range map[hash]func() stdhash.Hash{sha256Hash: stdsha256.New, sha384Hash: sha512.New384} {
		secret, seed := bytes.Repeat([]byte{7}, 48), bytes.Repeat([]byte{9}, 64)
		mac := func(message ...[]byte) []byte {
			m := hmac.New(std, secret)
			for _, part := range message {
				m.Write(part)
			}
			return m.Sum(nil)
		}
		var want []byte
		for a := mac([]byte("key expansion"), seed); len(want) < len(got); a = mac(a) {
			want = append(want, mac(a, []byte("key expansion"), seed)...)
		}
		h.prf(got, secret, "key expansion", seed)
		if !bytes.Equal(got, want[:len(got)]) {
			t.Errorf("hash %d: %x, want %x", h, got, want[:len(got)])
		}
	}
}

// TestExpandLabel compares with crypto/hkdf.
func TestExpandLabel(t *testing.T) {
	for h, std := range map[hash]func() stdhash.Hash{sha256Hash: stdsha256.New, sha384Hash: sha512.New384} {
		secret := bytes.Repeat([]byte{5}, h.size())
		for label, n := range map[string]int{"key": 16, "iv": 12, "traffic upd": h.size()} {
			info := append([]byte{0, byte(n), byte(len("tls13 " + label))}, "tls13 "+label+"\x00"...)
			want, err := hkdf.Expand(std, secret, string(info), n)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, n)
			h.expandLabel(got, secret, label)
			if !bytes.Equal(got, want) {
				t.Errorf("%s of hash %d: %x, want %x", label, h, got, want)
			}
		}
	}
}

// TestSecretsAreRefused: what does not fit is an error that says so, and leaves a State alone.
func TestSecretsAreRefused(t *testing.T) {
	b32, b48 := make([]byte, 32), make([]byte, 48)
	for name, f := range map[string]func() (Secrets, error){
		"a suite of 1.2 in 1.3": func() (Secrets, error) { return FromTraffic(suites12[0], false, b32, b32) },
		"a suite of 1.3 in 1.2": func() (Secrets, error) { return FromMaster(suites13[0], false, b48, b32, b32) },
		"a suite with CBC": func() (Secrets, error) {
			return FromMaster(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false, b48, b32, b32)
		},
		"a suite that nobody knows": func() (Secrets, error) { return FromTraffic(0x1399, false, b32, b32) },
		"a short secret":            func() (Secrets, error) { return FromTraffic(suites13[0], false, b32[:31], b32) },
		"a secret of another hash":  func() (Secrets, error) { return FromTraffic(suites13[1], false, b32, b32) },
		"a short master secret":     func() (Secrets, error) { return FromMaster(suites12[0], false, b32, b32, b32) },
		"a short random":            func() (Secrets, error) { return FromMaster(suites12[0], false, b48, b32, b32[:31]) },
	} {
		if k, err := f(); err == nil || k != (Secrets{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var s State
	if err := s.Start(&Secrets{Version: tls.VersionTLS11, Suite: suites12[0]}); err == nil || s != (State{}) {
		t.Errorf("TLS 1.1: %v", err)
	}
	started, _ := newStates(t, suites13[0])
	before := *started
	if err := started.Start(&Secrets{Version: tls.VersionTLS13, Suite: suites13[0]}); err == nil || *started != before {
		t.Errorf("a State was started twice: %v", err)
	}
}
