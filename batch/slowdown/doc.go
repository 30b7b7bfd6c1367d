// Package slowdown makes a server slower, in builds with the tag of that name only: such servers show whether a comparison tells a small difference
// (scripts/check-comparison).
package slowdown
