package batch

// token recognises a completion or an event: what it was for, and which use of which
// slot it belongs to. It is the user data of submissions and of epoll.
type token uint64

// kind is what a token's event is for.
type kind uint8

const (
	kindAccept       kind = iota // slot: listener
	kindRecv                     // slot and gen: connection
	kindSend                     // slot: index among the flush's replies
	kindDrain                    // slot and gen: connection
	kindHeld                     // slot: index of a send without copying, see held
	kindDatagram                 // slot: UDP socket, gen: slot that is received into
	kindDatagramSent             // slot: bytes of a reply in a datagram
	kindPass                     // slot: direct descriptor, gen: channel that it goes to
	kindPassed                   // a direct descriptor has come
	kindInstall                  // slot: direct descriptor
	kindWake                     // the channel's wake-up descriptor
	kindTimer                    // the channel's timer
	kindIgnore                   // nothing to do: cancels, closes
)

// genMask: 24 bits of a generation fit beside kind and slot.
const genMask = 1<<24 - 1

func makeToken(k kind, gen, slot uint32) token {
	return token(k)<<56 | token(gen&genMask)<<32 | token(slot)
}

func (t token) kind() kind   { return kind(t >> 56) }
func (t token) gen() uint32  { return uint32(t>>32) & genMask }
func (t token) slot() uint32 { return uint32(t) }

func (c *conn) token(k kind) token { return makeToken(k, c.gen, c.slot) }
