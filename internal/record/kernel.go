package record

import (
	"encoding/binary"
)

// Numbers of ciphers in linux/tls.h.
const (
	TLS_CIPHER_AES_GCM_128       = 51
	TLS_CIPHER_AES_GCM_256       = 52
	TLS_CIPHER_CHACHA20_POLY1305 = 54
)

// KernelKeys are the keys of what is sent, as the kernel takes them (kTLS): the fields of struct tls12_crypto_info_aes_gcm_128 and its like. The slices are
// parts of the State they were taken from, except where noted.
type KernelKeys struct {
	Version uint16 // tls.VersionTLS12 or tls.VersionTLS13, which are the kernel's numbers too
	Cipher  uint16
	IV      []byte // 8 bytes for AES-GCM, 12 for ChaCha20-Poly1305
	Key     []byte
	Salt    []byte  // 4 bytes for AES-GCM, none for ChaCha20-Poly1305
	Seq     [8]byte // the sequence number of the next record, big endian
}

// KernelKeys returns what the kernel needs to seal what this side sends next. From then on the kernel counts, and Seal and its like must not be
// used: two records would have one nonce. The connection must have TLS.
func (s *State) KernelKeys() (k KernelKeys) {
	k = KernelKeys{Version: s.Version(), Key: s.out.key[:s.suite.keyLen()]}
	binary.BigEndian.PutUint64(k.Seq[:], s.out.seq)
	switch s.suite {
	case aes128:
		k.Cipher = TLS_CIPHER_AES_GCM_128
	case aes256:
		k.Cipher = TLS_CIPHER_AES_GCM_256
	case chacha:
		k.Cipher, k.IV = TLS_CIPHER_CHACHA20_POLY1305, s.out.iv[:]
		return k
	}
	k.Salt, k.IV = s.out.iv[:4], s.out.iv[4:]
	if s.version == 2 {
		k.IV = append([]byte(nil), k.Seq[:]...) // the explicit part of the first nonce, as Seal would have it
	}
	return k
}

// SealedElsewhere notes that the kernel has sealed n records with the present key, or fewer. It keeps count for KeyUpdateDue.
func (s *State) SealedElsewhere(n int) { s.out.seq += uint64(n) }

// AppendTo appends the struct that setsockopt takes for TLS_TX, in the machine's byte order. It is a secret.
func (k *KernelKeys) AppendTo(dst []byte) []byte {
	dst = binary.NativeEndian.AppendUint16(dst, k.Version)
	dst = binary.NativeEndian.AppendUint16(dst, k.Cipher)
	dst = append(dst, k.IV...)
	dst = append(dst, k.Key...)
	dst = append(dst, k.Salt...)
	return append(dst, k.Seq[:]...)
}

// String says nothing secret.
func (k KernelKeys) String() string { return "(keys)" }

// GoString is String, for %#v.
func (k KernelKeys) GoString() string { return k.String() }
