// Package hotkeys finds the keys that are used most, by the Space-Saving algorithm of Metwally, Agrawal and El Abbadi (2005) over samples.
package hotkeys

// Key is a key that is used often.
type Key struct {
	Name  []byte // the caller's own copy
	Count uint64 // uses among the samples, at most
	Error uint64 // by how much Count may be too high
}
