// Package replay sends a recorded trace to one running server, as fast as it answers or in the recorded time, and
// checks the replies as far as the trace tells what they must be. Package trace has the formats of the file.
//
// One goroutine reads ahead, one hands out requests when they are due (ahead.go), and each connection has one that
// sends and checks (conn.go, value.go).
package replay
