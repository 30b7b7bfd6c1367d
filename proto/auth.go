package proto

import (
	"bytes"
	"math"
)

// maxLogin is the longest name and password together, in bytes with what separates them, that a client may come with. They are left to
// the caller of Data until they are complete.
const maxLogin = 512

const (
	replyStranger  = "CLIENT_ERROR unauthenticated\r\n"
	replyBadLogin  = "CLIENT_ERROR authentication failure\r\n"
	replyBadEnding = "CLIENT_ERROR bad command line termination\r\n"
	replyBadPair   = "CLIENT_ERROR bad authentication token format\r\n"
)

// login answers a command line of a client that has not authenticated. It does that with `set <key> <flags> <exptime> <bytes>` and a
// value of "<user> <password>"; key, flags and exptime mean nothing.
func (w *Worker) login(s *session, in []byte) (int, step) {
	end := bytes.IndexByte(in[:min(len(in), MaxLine)], '\n')
	if end < 0 {
		return 0, choose(len(in) < MaxLine, stepMore, stepBreak)
	}
	r := &w.req
	r.in, r.line, r.size, r.quiet = in, trimCR(in[:end]), end+1, false
	r.split()
	n, ok := parseUint(r.arg(4), math.MaxInt32-2)
	if string(r.arg(0)) != "set" || !ok {
		return w.reply(r, replyStranger)
	}
	value := int(n) + len("\r\n")
	if r.size+value > MaxLine || n > maxLogin {
		w.countLogin(false)
		return w.refuse(s, r, int(n), replyBadLogin)
	}
	if len(in) < r.size+value {
		return 0, stepMore
	}
	pair := in[r.size : r.size+value]
	r.size += value
	return w.reply(r, w.loginText(s, pair))
}

// loginText is the reply to a user and password. The password is all behind the first blank: it may have blanks, at its ends too.
func (w *Worker) loginText(s *session, pair []byte) string {
	line, ok := bytes.CutSuffix(pair, []byte("\r\n"))
	if !ok {
		return replyBadEnding
	}
	user, password, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return replyBadPair
	}
	if !w.authenticate(user, password) {
		return replyBadLogin
	}
	s.settle(modeLine)
	return replyStored
}

// authenticate asks whether somebody may come in, and counts.
func (w *Worker) authenticate(user, password []byte) bool {
	ok := w.srv.config.Auth.Authenticate(user, password)
	w.countLogin(ok)
	return ok
}

func (w *Worker) countLogin(ok bool) {
	w.tally.add(authCommands)
	if !ok {
		w.tally.add(authErrors)
	}
}
