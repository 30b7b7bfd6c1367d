package proto

import (
	"errors"
	"testing"
)

// TestSessionsWithoutMemory: connections are served where their sessions cannot be mapped.
func TestSessionsWithoutMemory(t *testing.T) {
	s := sessions{memory: func(int) ([]byte, error) { return nil, errors.New("there is none") }}
	for conn := range uint32(3 * sessionsPerChunk) {
		if s.open(conn, modeLine); s.of(conn).mode != modeLine {
			t.Fatalf("connection %d has no session", conn)
		}
	}
}
