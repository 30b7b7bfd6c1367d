package hotkeys

import (
	"fmt"
	"hash/maphash"
)

// hashOf is a key's hash in a sketch.
func hashOf(k *Sketch, key string) uint32 { return uint32(maphash.String(k.seed, key)) }

// String is for messages.
func (k Key) String() string { return fmt.Sprintf("%q %d (-%d)", k.Name, k.Count, k.Error) }
