package proto

import "bytes"

// saslMechanism is the one that there is: the client sends its password as it is.
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
// one, and send its message in a step. Whoever begins again is a stranger until that succeeds, as in
// memcached: a connection that changes hands, behind a proxy, must not go on with the rights of the one before.
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

// cutPlain takes a message of the mechanism PLAIN apart: whom to act for, who it is, and the password, with zeros between them. Acting
// for others is not known here, so the first is not looked at.
func cutPlain(message []byte) (user, password []byte, ok bool) {
	_, rest, ok := bytes.Cut(message, []byte{0})
	if !ok {
		return nil, nil, false
	}
	return bytes.Cut(rest, []byte{0})
}
