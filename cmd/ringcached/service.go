package main

import (
	"fmt"

	"ringcached/batch"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/proto"
)

// service is what the flags mean for this process: the configuration, and what was found for it.
type service struct {
	config    *config.Config
	inherited process.Inheritance
	identity  process.Identity // the user of -u, until the process has become it
	users     *userFile        // those of -Y; nil: no authentication
	tls       *certificates    // of -Z; nil: no TLS
	monitor   *monitor         // of --metrics; nil: none

	leftBehind string // path of the old server's socket of --metrics, which is to be removed; empty: none
}

// prepare checks the configuration and finds the users that it names, so that a typing error is reported before anything is set up.
func (s *service) prepare() error {
	c := s.config
	c.Network.Inherited = s.inherited.Sockets
	if err := c.Validate(); err != nil {
		return err
	}
	if err := c.Resolve(); err != nil {
		return err
	}
	if err := s.findUsers(); err != nil {
		return c.Line.Explain(err)
	}
	return c.Line.Explain(s.openCertificates())
}

// findUsers reads the users of -Y and looks up the one of -u.
func (s *service) findUsers() (err error) {
	if path := s.config.Protocol.AuthFile; path != "" {
		if s.users, err = openUserFile(path); err != nil {
			return fmt.Errorf("-Y, --auth-file: %w", err)
		}
	}
	s.identity, err = process.FindIdentity(s.config.Process.User)
	return err
}

// batch is the configuration of the sockets and loops.
func (s *service) batch() batch.Config {
	c := s.config.Batch()
	c.UnixStays = s.inherited.Sockets != nil && !s.inherited.OwnSockets
	c.Hold = s.inherited.HasPredecessor()
	if s.tls != nil {
		c.TLS = s.tls.server
	}
	return c
}

// rereadable are the files that SIGHUP is for.
func (s *service) rereadable() (all []process.Files) {
	if s.users != nil {
		all = append(all, process.Files{What: "the users", Reread: func() (string, error) { return s.users.path + " again", s.users.reload() }})
	}
	if s.tls != nil {
		all = append(all, process.Files{What: "the certificates", Reread: s.tls.reload})
	}
	return all
}

// authenticator decides about clients. It is nil, and not an interface
// that holds a nil pointer, when nobody does.
func (s *service) authenticator() proto.Authenticator {
	if s.users == nil {
		return nil
	}
	return s.users
}

// becomeUser changes the user, at its first call.
func (s *service) becomeUser(log process.LogFunc) error {
	if err := s.identity.Become(log); err != nil {
		return err
	}
	s.identity.Change = false
	if s.config.Process.CoreDumps {
		return process.AllowCoreDumps()
	}
	return nil
}
