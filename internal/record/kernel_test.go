package record

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealAsKernel seals a record of data as Linux does with keys that it was given (net/tls/tls_sw.c): salt and IV make the nonce, in TLS 1.3 and with ChaCha20-Poly1305 xored
// with the sequence number.
func sealAsKernel(t *testing.T, k KernelKeys, text []byte) []byte {
	t.Helper()
	var aead cipher.AEAD
	var err error
	wantKey, wantIV, wantSalt := 16, 8, 4
	switch k.Cipher {
	case TLS_CIPHER_AES_GCM_256:
		wantKey = 32
		fallthrough
	case TLS_CIPHER_AES_GCM_128:
		block, errKey := aes.NewCipher(k.Key)
		if errKey != nil {
			t.Fatal(errKey)
		}
		aead, err = cipher.NewGCM(block)
	case TLS_CIPHER_CHACHA20_POLY1305:
		wantKey, wantIV, wantSalt = 32, 12, 0
		aead, err = chacha20poly1305.New(k.Key)
	}
	if err != nil || len(k.Key) != wantKey || len(k.IV) != wantIV || len(k.Salt) != wantSalt {
		t.Fatalf("cipher %d: key of %d bytes, IV of %d, salt of %d: %v", k.Cipher, len(k.Key), len(k.IV), len(k.Salt), err)
	}
	nonce := append(bytes.Clone(k.Salt), k.IV...)
	seq := binary.BigEndian.Uint64(k.Seq[:])
	explicit := k.Version == tls.VersionTLS12 && k.Cipher != TLS_CIPHER_CHACHA20_POLY1305
	if !explicit {
		binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^seq)
	}
	record := []byte{applicationData, 3, 3, 0, 0}
	if explicit {
		record = append(record, k.IV...)
	}
	if k.Version == tls.VersionTLS13 {
		text = append(bytes.Clone(text), applicationData)
	}
	binary.BigEndian.PutUint16(record[3:], uint16(len(record)-HeaderLen+len(text)+tagLen))
	extra := bytes.Clone(record[:HeaderLen])
	if k.Version == tls.VersionTLS12 {
		extra = append(bytes.Clone(k.Seq[:]), applicationData, 3, 3, 0, byte(len(text)))
	}
	return aead.Seal(record, nonce, text, extra)
}

// TestKernelKeys: what the kernel would seal with them is what the peer expects next.
func TestKernelKeys(t *testing.T) {
	eachSuite(t, func(t *testing.T, client, server *State) {
		c := New(8, heapMemory)
		for range 300 {
			exchange(t, c, server, client, "data")
		}
		k := server.KernelKeys()
		if k.Version != server.Version() || k.String() != "(keys)" || k.GoString() != "(keys)" {
			t.Errorf("version %#x, %v", k.Version, k)
		}
		want := map[uint16]int{TLS_CIPHER_AES_GCM_128: 40, TLS_CIPHER_AES_GCM_256: 56, TLS_CIPHER_CHACHA20_POLY1305: 56}[k.Cipher] // sizeof the kernel's structs
		if got := k.AppendTo(nil); len(got) != want || !bytes.Equal(got[len(got)-8:], k.Seq[:]) || binary.NativeEndian.Uint16(got) != k.Version {
			t.Errorf("the struct has %d bytes, want %d", len(got), want)
		}
		if plain, _, event := c.Open(1, client, sealAsKernel(t, k, []byte("from the kernel"))); string(plain) != "from the kernel" {
			t.Errorf("%+v", event)
		}
	})
}
