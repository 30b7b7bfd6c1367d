package main

import (
	"fmt"

	"ringcached/batch"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/proto"
)

// service is what the flags mean for this process: the options, and what was found for them.
type service struct {
	options   *config.Config
	inherited process.Inheritance
	identity  process.Identity // the user of -u, until the process has become it
	users     *userFile        // those of -Y; nil: no authentication
}

// prepare checks the options and finds the users that they name, so that a typing error is reported before anything is set up.
func (s *service) prepare() error {
	o := s.options
	o.Network.Inherited = s.inherited.Sockets
	if err := o.Validate(); err != nil {
		return err
	}
	if err := o.Resolve(); err != nil {
		return err
	}
	return o.Line.Explain(s.findUsers())
}

// findUsers reads the users of -Y and looks up the one of -u.
func (s *service) findUsers() (err error) {
	if path := s.options.Protocol.AuthFile; path != "" {
		if s.users, err = openUserFile(path); err != nil {
			return fmt.Errorf("-Y, --auth-file: %w", err)
		}
	}
	s.identity, err = process.FindIdentity(s.options.Process.User)
	return err
}

// batch is the configuration of the sockets and loops.
func (s *service) batch() batch.Config {
	c := s.options.Batch()
	c.UnixStays = s.inherited.Sockets != nil && !s.inherited.OwnSockets
	c.Hold = s.inherited.HasPredecessor()
	return c
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
	if s.options.Process.CoreDumps {
		return process.AllowCoreDumps()
	}
	return nil
}
