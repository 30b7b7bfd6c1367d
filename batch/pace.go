package batch

import "time"

const (
	// batchTime is how long a batch hands out turns. Whoever has input for which it is too late comes in the next one, so that clients with
	// much to ask for, such as appends to large values, do not keep others waiting.
	batchTime = 2 * time.Millisecond
	// paceTurns is from how many turns to how many the clock is read. A batch of fewer turns costs nothing.
	paceTurns = 8
)

// pace tells when a batch has lasted long enough.
type pace struct {
	turns int
	begun time.Time // when it had paceTurns turns
	late  bool
}

// turn counts one turn of a connection.
func (p *pace) turn() {
	if p.turns++; p.turns%paceTurns != 0 {
		return
	}
	if now := time.Now(); p.turns == paceTurns {
		p.begun = now
	} else if now.Sub(p.begun) >= batchTime {
		p.late = true
	}
}

// spent reports that everybody has to wait for the next batch.
func (ch *channel) spent() bool { return ch.pace.late || ch.out.spent() }
