package record

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"testing"
)

var modelRecords = flag.Int("model.records", 5000, "records that the model test opens and seals, of all suites together")

// TestModel: crypto/tls and this package understand each other, in every suite, from either side, whatever the sizes and wherever the bytes that arrive are
// cut, while keys are replaced and dropped.
func TestModel(t *testing.T) {
	all := variants()
	for _, v := range all {
		t.Run(v.String(), func(t *testing.T) {
			m := model{t: t, random: rand.New(rand.NewPCG(1, uint64(v.suite))), v: v, least: *modelRecords/len(all) + 1}
			m.run()
		})
	}
}

// model is a run of the model test.
type model struct {
	t      *testing.T
	random *rand.Rand
	v      variant
	least  int // records
	c      *Ciphers
	pairs  []*pair
	// What was done.
	opened, sealed, updates int
}

func (m *model) run() {
	m.c = New(4, heapMemory) // less than the pairs need
	for slot := range uint32(4) {
		m.pairs = append(m.pairs, connect(m.t, m.v, m.c, slot, m.v.client))
	}
	for m.opened+m.sealed < m.least {
		p := m.pairs[m.random.IntN(len(m.pairs))]
		switch m.random.IntN(8) {
		case 0, 1, 2:
			m.peerSends(p)
		case 3, 4, 5:
			m.peerReceives(p)
		case 6:
			m.c.Tick()
		case 7:
			if m.v.version() == tls.VersionTLS13 {
				m.update(p)
			}
		}
	}
	for _, p := range m.pairs {
		m.end(p)
	}
	if m.v.version() == tls.VersionTLS13 && m.updates == 0 && m.least > 200 {
		m.t.Error("no key was replaced")
	}
}

// text is random and of a random length.
func (m *model) text() []byte {
	n := m.random.IntN(200)
	switch m.random.IntN(20) {
	case 0:
		n = m.random.IntN(MaxPlain + 1)
	case 1:
		n = MaxPlain - m.random.IntN(2)
	case 2:
		n = m.random.IntN(3)
	}
	text := make([]byte, n)
	for i := range text {
		text[i] = byte(m.random.Uint32())
	}
	return text
}

// peerSends opens what crypto/tls seals.
func (m *model) peerSends(p *pair) {
	var text []byte
	for range 1 + m.random.IntN(3) {
		text = append(text, m.text()...)
	}
	if _, err := p.peer.Write(text); err != nil {
		m.t.Fatal(err)
	}
	m.open(p, text)
}

// open opens all that is there, which has to be text, from a buffer into which the bytes come in pieces.
func (m *model) open(p *pair, text []byte) {
	var got []byte
	arriving := p.in.take()
	for len(arriving) > 0 || len(p.received) > 0 {
		plain, event := p.open()
		switch event.Kind {
		case EventData:
			m.opened++
			got = append(got, plain...)
		case EventNeed:
			if len(arriving) == 0 || event.Need <= len(p.received) || event.Need > MaxRecord {
				m.t.Fatalf("%d bytes wanted, %d are here and %d to come", event.Need, len(p.received), len(arriving))
			}
			n := 1 + m.random.IntN(min(len(arriving), 20000))
			p.received = append(p.received, arriving[:n]...)
			arriving = arriving[n:]
		case EventNone, EventKeyUpdate: // a session ticket, an answer to update
			m.opened++
		default:
			m.t.Fatalf("%+v", event)
		}
	}
	if !bytes.Equal(got, text) {
		m.t.Fatalf("%d bytes were opened that are not the %d that were sent", len(got), len(text))
	}
}

// peerReceives has crypto/tls open what this package seals.
func (m *model) peerReceives(p *pair) {
	var want []byte
	for range 1 + m.random.IntN(3) {
		text := m.text()
		want = append(want, text...)
		if m.random.IntN(2) == 0 {
			p.send(m.t, text)
		} else {
			cut := m.random.IntN(len(text) + 1)
			buf := make([]byte, len(text)+p.s.Overhead())
			n := m.c.SealCopy(p.slot, p.s, buf, text[:cut], nil, text[cut:])
			p.give(m.t, buf[:n])
		}
		m.sealed++
	}
	m.read(p, want)
}

// read has crypto/tls open all that it was given.
func (m *model) read(p *pair, want []byte) {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.peer, got); err != nil {
		m.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		m.t.Fatalf("crypto/tls opened %d bytes that are not those that were sealed", len(got))
	}
}

// update replaces our key, and may ask for one of the peer, who answers.
func (m *model) update(p *pair) {
	ask := m.random.IntN(2) == 0
	p.give(m.t, m.c.AppendKeyUpdate(p.slot, p.s, nil, ask))
	p.send(m.t, []byte("after"))
	m.read(p, []byte("after"))
	m.updates++
	p.receive()
	if !ask {
		return
	}
	if _, event := p.open(); event.Kind != EventKeyUpdate {
		m.t.Fatalf("asked for another key, the peer answered %+v", event)
	}
	if p.s.KeyUpdateDue() {
		m.t.Fatal("an answer asks for no answer")
	}
}

// end closes a connection from both ends.
func (m *model) end(p *pair) {
	if err := p.peer.CloseWrite(); err != nil {
		m.t.Fatal(err)
	}
	p.receive()
	if _, event := p.open(); event.Kind != EventClosed {
		m.t.Fatalf("the peer closed: %+v", event)
	}
	p.send(m.t, []byte("last words"))
	p.give(m.t, m.c.AppendAlert(p.slot, p.s, nil, CloseNotify))
	got, err := io.ReadAll(p.peer)
	if string(got) != "last words" || err != nil {
		m.t.Fatalf("%q, %v", got, err)
	}
	if n := m.c.Seal(p.slot, p.s, make([]byte, 100), 1); n != 0 || len(m.c.AppendAlert(p.slot, p.s, nil, CloseNotify)) != 0 {
		m.t.Fatal("something was sealed after the last alert")
	}
	if _, err := p.peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		m.t.Fatal(err)
	}
	m.c.Drop(p.slot, p.s)
}
