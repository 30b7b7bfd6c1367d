// Package replay sends a recorded trace to one running server, as fast as it answers or in the recorded time, and checks the replies as far as
// the trace tells what they must be. Package trace has the format of the file.
//
// One goroutine reads ahead (ahead.go), one hands out requests by key, so that requests for a key keep their order (dispatch.go), and
// each connection has one that writes and one that reads (conn.go, reply.go).
package replay
