package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"ringcached/proto"
)

// userFile knows the users of -Y's file. It may be asked by any goroutine while it
// is read again.
type userFile struct {
	path  string
	users atomic.Pointer[[]credentials]
}

var _ proto.Authenticator = (*userFile)(nil)

// credentials are the digest of a line of the file. Digests have one length, so
// comparing them takes the same time whatever was guessed right.
type credentials [sha256.Size]byte

const (
	maxUsers     = 8       // as in memcached
	maxUserBytes = 1 << 16 // of the file
)

// openUserFile reads the file at path.
func openUserFile(path string) (*userFile, error) {
	f := &userFile{path: path}
	return f, f.reload()
}

// reload reads the file again. On an error the users stay who they were.
func (f *userFile) reload() error {
	in, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	users, err := parseUsers(in)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.users.Store(&users)
	return nil
}

// parseUsers reads lines user:password. Either may hold anything but a newline, and
// the user no colon. Empty lines do not count.
func parseUsers(in []byte) ([]credentials, error) {
	if len(in) > maxUserBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxUserBytes)
	}
	var users []credentials
	number := 0
	for line := range bytes.Lines(in) {
		number++
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) == 0 {
			continue
		}
		user, password, found := bytes.Cut(line, []byte(":"))
		if !found || len(user) == 0 || len(password) == 0 {
			return nil, fmt.Errorf("line %d is not user:password", number)
		}
		if len(users) == maxUsers {
			return nil, fmt.Errorf("line %d is one user too many, at most %d can be served", number, maxUsers)
		}
		users = append(users, digest(user, password))
	}
	if len(users) == 0 {
		return nil, errors.New("no users: want lines user:password")
	}
	return users, nil
}

// Authenticate compares with every user, so that the time taken tells nothing.
func (f *userFile) Authenticate(user, password []byte) bool {
	if bytes.IndexByte(user, ':') >= 0 { // would be another user with another password
		return false
	}
	got, match := digest(user, password), 0
	for _, want := range *f.users.Load() {
		match |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return match == 1
}

func digest(user, password []byte) credentials {
	h := sha256.New()
	h.Write(user)
	h.Write([]byte{':'})
	h.Write(password)
	return credentials(h.Sum(nil))
}

// count is how many users there are.
func (f *userFile) count() int { return len(*f.users.Load()) }
