package process

import (
	"slices"
	"testing"
)

// TestSocketNames: a socket that is handed over keeps its protocol, whoever has made it.
func TestSocketNames(t *testing.T) {
	protocols := []string{"", "ascii", "binary", "negotiating"} // by their labels
	labelOf := func(name string) uint8 { return uint8(max(slices.Index(protocols, name), 0)) }
	for label, protocol := range protocols {
		if own, got := socketLabel(socketName(true, protocol), labelOf); !own || int(got) != label {
			t.Errorf("%q: own %v, label %d, want %d", protocol, own, got, label)
		}
	}
	if own, label := socketLabel("ringcached.socket", labelOf); own || label != 0 {
		t.Errorf("systemd's socket: own %v, label %d", own, label)
	}
	if own, label := socketLabel(socketName(true, "")+"-telepathy", labelOf); !own || label != 0 {
		t.Errorf("a newer server's socket: own %v, label %d", own, label)
	}
}
