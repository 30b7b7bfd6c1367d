//go:build !slowdown

package batch

// slowdown makes a server slower in builds with the tag of that name, see slowdown_on.go.
type slowdown struct{}

func (*slowdown) operation() {}
