package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ringcached/cmd/ringcached/process"
	"ringcached/internal/handshake"
	"ringcached/proto"
)

// certificates are the files of -o ssl_chain_cert, ssl_key and ssl_ca_cert, and the server of handshakes that has read them.
type certificates struct {
	server *handshake.Server
	paths  []string

	base atomic.Pointer[handshake.Counts] // of the server at the last reset; nil: none

	mu   sync.Mutex // of the last reading, and held while they are read
	read time.Time
	seen []fileState // by path, from before it
	err  error
}

// fileState tells whether a file is the one that was read. A file that is replaced has another number, one that is written another time.
type fileState struct {
	device, inode     uint64
	size              int64
	modified, changed syscall.Timespec
}

// rereadLeast is the least time between two readings of files that have not changed: any client can send refresh_certs, and a reading costs as much as a
// hundred gets.
const rereadLeast = time.Second

// openCertificates reads the files of -Z, with the rights of the user that starts the server.
func (s *service) openCertificates() error {
	c := s.config
	if !c.TLS.Enabled {
		return nil
	}
	o := &c.Extended.TLS
	version, err := handshake.MinVersion(o.MinVersion)
	if err != nil {
		return err
	}
	files := &certificates{paths: []string{o.Chain, o.Key, o.CA}}
	files.server, err = handshake.New(handshake.Config{
		Files:      handshake.Files{Chain: o.Chain, Key: o.Key, CA: o.CA},
		KeyFormat:  handshake.KeyFormat(o.KeyFormat),
		VerifyMode: handshake.VerifyMode(o.VerifyMode),
		Mutual:     c.TLS.Mutual,
		Ciphers:    o.Ciphers,
		MinVersion: version,
	})
	if err != nil {
		return fmt.Errorf("-Z, --enable-ssl: %w", withUser(err))
	}
	s.tls = files
	return nil
}

// withUser adds to an error about rights who lacks them: at the start that is mostly root, and later the user of -u.
func withUser(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w (for user %d)", err, os.Geteuid())
}

// reload reads the files again. On an error the certificates stay what they were.
func (c *certificates) reload() (said string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.readLocked(); err != nil {
		return "", err
	}
	return "the certificates again: " + c.String(), nil
}

// refresh is reload for clients: what it found a moment ago is the answer for files that have not changed.
func (c *certificates) refresh() (anew bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) < rereadLeast && slices.Equal(c.seen, c.states()) {
		return false, c.err
	}
	return true, c.readLocked()
}

func (c *certificates) readLocked() error {
	c.read, c.seen = time.Now(), c.states() // before they are read: what is written meanwhile is read again
	c.err = withUser(c.server.Refresh())
	return c.err
}

// states are those of the files now; a file that is not there has none.
func (c *certificates) states() []fileState {
	all := make([]fileState, len(c.paths))
	for i, path := range c.paths {
		var stat syscall.Stat_t
		if path != "" && syscall.Stat(path, &stat) == nil {
			all[i] = fileState{stat.Dev, stat.Ino, stat.Size, stat.Mtim, stat.Ctim}
		}
	}
	return all
}

// accessRead is R_OK of unistd.h, which package syscall leaves out.
const accessRead = 4

// warnOfUnreadable logs which files only the user could read that started the server.
func (c *certificates) warnOfUnreadable(log process.LogFunc) {
	var unreadable []string
	for _, path := range c.paths {
		if path != "" && !slices.Contains(unreadable, path) && errors.Is(syscall.Access(path, accessRead), fs.ErrPermission) {
			unreadable = append(unreadable, path)
		}
	}
	if len(unreadable) > 0 {
		log(0, "warning: user %d may not read %s: new certificates will not be taken up (SIGHUP, refresh_certs), and no server can be handed over to (SIGUSR2)",
			os.Geteuid(), strings.Join(unreadable, ", "))
	}
}

// refreshHook is what the command refresh_certs does; nil without TLS.
func (s *service) refreshHook(log process.LogFunc) func() error {
	if s.tls == nil {
		return nil
	}
	return func() error {
		anew, err := s.tls.refresh()
		switch {
		case err != nil:
			log(1, "refresh_certs: the certificates stay as they are: %v", err)
		case anew:
			log(1, "refresh_certs: %s", s.tls)
		}
		return err
	}
}

// String says which certificate is shown to clients.
func (c *certificates) String() string {
	return fmt.Sprintf("certificate of %s, good until %s", c.server.Subject(), c.server.NotAfter().UTC().Format(time.RFC3339))
}

// announceTLS logs what TLS begins with.
func (s *service) announceTLS(log process.LogFunc) {
	if s.tls == nil {
		return
	}
	log(1, "TLS: %s", s.tls)
	s.tls.warnOfUnreadable(log)
}

// tlsSettings is what `stats settings` shows of TLS.
func (s *service) tlsSettings() proto.TLSSettings {
	o := &s.config.Extended.TLS
	return proto.TLSSettings{
		Enabled:      s.config.TLS.Enabled,
		Chain:        o.Chain,
		Key:          o.Key,
		CA:           o.CA,
		Ciphers:      o.Ciphers,
		VerifyFlags:  handshake.VerifyMode(o.VerifyMode).Flags(),
		KeyFormat:    o.KeyFormat,
		MinVersion:   o.MinVersionName(),
		SessionCache: o.SessionCache,
		KernelTLS:    o.KernelTLS,
	}
}
