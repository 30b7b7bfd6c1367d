package ktls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"ringcached/internal/record"
)

// Support says what a kernel can seal.
type Support struct {
	Rekey   bool // the key of a TLS 1.3 connection can be replaced, by Update
	ciphers [3]bool
}

// ciphers are those of package record, in the order of Support's.
var ciphers = [len(Support{}.ciphers)]uint16{record.TLS_CIPHER_AES_GCM_128, record.TLS_CIPHER_AES_GCM_256, record.TLS_CIPHER_CHACHA20_POLY1305}

// Seals says whether the kernel can seal for a connection with these keys to its end, whatever the peer asks for.
func (s *Support) Seals(keys *record.KernelKeys) bool {
	for i, cipher := range ciphers {
		if keys.Cipher == cipher {
			return s.ciphers[i] && (keys.Version == tls.VersionTLS12 || s.Rekey)
		}
	}
	return false
}

// Probe tries on connections to this process, over the loopback interface, what the kernel can do. The error says in one line why it can do nothing.
func Probe() (s Support, err error) {
	for i, cipher := range ciphers {
		if err := try(cipher, &s.Rekey); err == nil {
			s.ciphers[i] = true
		} else if i == 0 {
			return Support{}, err
		}
	}
	return s, nil
}

// try seals a record with a cipher and, where rekey is to be set, another one with a second key.
func try(cipher uint16, rekey *bool) error {
	server, client, err := connection()
	if err != nil {
		return fmt.Errorf("ktls: cannot try it on a connection: %w", err)
	}
	defer unix.Close(server)
	defer unix.Close(client)
	keys := trialKeys(cipher)
	switch err := Enable(server, &keys); {
	case errors.Is(err, unix.ENOENT):
		return errors.New("the kernel has no TLS: the module tls is not loaded (modprobe tls), or not there")
	case err != nil:
		return err
	}
	if _, err := unix.SendmsgN(server, []byte("x"), nil, nil, unix.MSG_NOSIGNAL); err != nil {
		return os.NewSyscallError("sendmsg", err)
	}
	// Type, version and the length of one byte, its type and a tag of 16.
	want := [5]byte{23, 3, 3, 0, 18}
	var header [len(want)]byte
	if n, _, err := unix.Recvfrom(client, header[:], unix.MSG_WAITALL); err != nil || header != want {
		return fmt.Errorf("ktls: the kernel's record begins with % x (%v), not with % x", header[:max(n, 0)], err, want)
	}
	if !*rekey {
		*rekey = setKeys(server, &keys) == nil
	}
	return nil
}

// trialKeys are keys for nothing but a trial, of TLS 1.3.
func trialKeys(cipher uint16) record.KernelKeys {
	k := record.KernelKeys{Version: tls.VersionTLS13, Cipher: cipher, IV: make([]byte, 8), Key: make([]byte, 32), Salt: make([]byte, 4)}
	switch cipher {
	case record.TLS_CIPHER_AES_GCM_128:
		k.Key = k.Key[:16]
	case record.TLS_CIPHER_CHACHA20_POLY1305:
		k.IV, k.Salt = make([]byte, 12), nil
	}
	return k
}

// connection makes a TCP connection. The caller closes both ends.
func connection() (server, client int, err error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socket", err)
	}
	defer unix.Close(listener)
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(listener, loopback); err != nil {
		return -1, -1, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		return -1, -1, os.NewSyscallError("listen", err)
	}
	addr, err := unix.Getsockname(listener)
	if err != nil {
		return -1, -1, os.NewSyscallError("getsockname", err)
	}
	if client, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, -1, os.NewSyscallError("socket", err)
	}
	// Nobody waits for long for what should be there at once.
	if err = unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		unix.Close(client)
		return -1, -1, os.NewSyscallError("setsockopt SO_RCVTIMEO", err)
	}
	if err = unix.Connect(client, addr); err != nil {
		unix.Close(client)
		return -1, -1, os.NewSyscallError("connect", err)
	}
	if server, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC); err != nil {
		unix.Close(client)
		return -1, -1, os.NewSyscallError("accept4", err)
	}
	return server, client, nil
}
