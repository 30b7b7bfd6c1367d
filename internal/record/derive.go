package record

import (
	"crypto/sha256"
	"crypto/sha512"
)

// hash is one of the two hashes that keys are derived with. What hash.Hash and crypto/hmac keep on the heap could not be zeroed, so the functions here hash
// whole messages, which are short, from the stack.
type hash uint8

const (
	sha256Hash hash = iota
	sha384Hash
)

// size is the length of a sum, in bytes.
func (h hash) size() int {
	if h == sha384Hash {
		return sha512.Size384
	}
	return sha256.Size
}

// block is the hash's block size, in bytes.
func (h hash) block() int {
	if h == sha384Hash {
		return sha512.BlockSize
	}
	return sha256.BlockSize
}

// messageMax is the longest message that is authenticated here: a sum, the longest label and two randoms.
const messageMax = secretMax + 16 + 64

// sum hashes text into out, which has room for it.
func (h hash) sum(out, text []byte) {
	if h == sha384Hash {
		sum := sha512.Sum384(text)
		copy(out, sum[:])
		clear(sum[:])
		return
	}
	sum := sha256.Sum256(text)
	copy(out, sum[:])
	clear(sum[:])
}

// hmac puts the HMAC (RFC 2104) of message, which has at most messageMax bytes, into out, which has size bytes. key has at most a block. out may be
// part of message.
func (h hash) hmac(out, key, message []byte) {
	var text [sha512.BlockSize + messageMax]byte
	block, size := h.block(), h.size()
	pad := func(with byte) {
		copy(text[:block], key)
		clear(text[len(key):block])
		for i := range text[:block] {
			text[i] ^= with
		}
	}
	pad(0x36)
	n := copy(text[block:], message)
	h.sum(out[:size], text[:block+n])
	pad(0x5c)
	copy(text[block:], out[:size])
	h.sum(out[:size], text[:block+size])
	clear(text[:])
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446, section 7.1), for at most one sum of output.
func (h hash) expandLabel(out, secret []byte, label string) {
	info := make([]byte, 0, messageMax)
	info = append(info, 0, byte(len(out)), byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "...), label...)
	info = append(info, 0, 1) // no context; the first block of HKDF-Expand (RFC 5869)
	var block [secretMax]byte
	h.hmac(block[:h.size()], secret, info)
	copy(out, block[:])
	clear(block[:])
}

// prf is the pseudorandom function of TLS 1.2 (RFC 5246, section 5).
func (h hash) prf(out, secret []byte, label string, seed []byte) {
	var message [messageMax]byte // A(i), label, seed
	size := h.size()
	n := size + copy(message[size:], label)
	n += copy(message[n:], seed)
	h.hmac(message[:size], secret, message[size:n]) // A(1)
	var block [secretMax]byte
	for len(out) > 0 {
		h.hmac(block[:size], secret, message[:n])
		out = out[copy(out, block[:size]):]
		h.hmac(message[:size], secret, message[:size])
	}
	clear(message[:])
	clear(block[:])
}
