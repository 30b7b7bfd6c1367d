package proto

import "math"

// firstSecond is the store's clock at Config.Start. It is not 0, so that 0 can mean never and 1 is always past.
const firstSecond = 2

// relativeLimit is the largest expiry time, in seconds, that counts from now (30 days); larger ones are Unix times.
const relativeLimit = 60 * 60 * 24 * 30

// expiry turns a client's expiry time into a second of the store: 0 never, negative always past. The binary protocol's times have no
// sign.
func (w *Worker) expiry(t int64) uint32 {
	if t == 0 {
		return 0
	}
	return w.srv.second(t, w.st.Now())
}

// second is the store second that t means when the store's clock shows now. t is not 0.
func (s *Server) second(t int64, now uint32) uint32 {
	switch {
	case t < 0:
		return 1
	case t <= relativeLimit:
		return now + uint32(t)
	case t <= s.epoch:
		return 1
	default:
		return uint32(min(t-s.epoch, math.MaxUint32))
	}
}
