package proto

import (
	"bytes"
	"math"

	"ringcached/proto/admin"
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

// authenticate checks a user and password, and counts.
func (w *Worker) authenticate(user, password []byte) bool {
	ok := w.srv.config.Auth.Authenticate(user, password)
	w.countLogin(ok)
	return ok
}

func (w *Worker) countLogin(ok bool) {
	w.tally.Add(admin.AuthCommands)
	if !ok {
		w.tally.Add(admin.AuthErrors)
	}
}

// saslMechanism is the only mechanism: the client sends its password in the clear.
const saslMechanism = "PLAIN"

// saslList answers which mechanisms there are. Where nobody has to authenticate, the SASL operations are unknown.
func saslList(w *Worker, s *session, f *frame) (int, step) {
	if w.srv.config.Auth == nil {
		return w.unknownFrame(s, f)
	}
	w.frameReply(f.echo, statusOK, saslMechanism, 0)
	return f.head, stepDone
}

// saslAuth answers SASLAuth and SASLStep: the key is the mechanism, the value a message of it. A client may ask to begin with an empty
// one, and send its message in a step. A client that begins again loses its rights until it
// succeeds, as in memcached: behind a proxy, the next user of a connection must not go on with the rights of the one before.
func saslAuth(w *Worker, s *session, f *frame) (int, step) {
	if w.srv.config.Auth == nil {
		return w.unknownFrame(s, f)
	}
	n := f.valueLen()
	if n > maxLogin {
		w.countLogin(false)
		s.settle(modeFrameLogin)
		w.frameError(f.echo, statusAuth)
		s.enter(session{mode: modeSwallow, left: uint32(n)})
		return f.head, stepDone
	}
	if len(f.in) < f.head+n {
		return 0, stepMore
	}
	message := f.in[f.head : f.head+n]
	f.head += n
	s.settle(modeFrameLogin)
	if string(f.key) != saslMechanism {
		w.countLogin(false)
		return w.frameDone(f, statusAuth, 0)
	}
	if n == 0 {
		return w.frameDone(f, statusContinue, 0)
	}
	user, password, ok := cutPlain(message)
	if !ok {
		w.countLogin(false)
		return w.frameDone(f, statusAuth, 0)
	}
	if !w.authenticate(user, password) {
		return w.frameDone(f, statusAuth, 0)
	}
	s.settle(modeFrame)
	w.frameReply(f.echo, statusOK, "Authenticated", 0)
	return f.head, stepDone
}

// cutPlain splits a message of the mechanism PLAIN: the identity to act for, the user and the password, with zeros between them. Nobody acts for
// others here, so it ignores the first.
func cutPlain(message []byte) (user, password []byte, ok bool) {
	_, rest, ok := bytes.Cut(message, []byte{0})
	if !ok {
		return nil, nil, false
	}
	return bytes.Cut(rest, []byte{0})
}
