// Package process is what a server is to its system: the daemon of -d, the log, signals, the user that it becomes, limits on files and memory, the
// files with its process id and ports, what systemd is told, and the hand-over at SIGUSR2. It knows no flags: package main hands it values.
//
// At SIGUSR2 a server hands over to a new one (handover.go), which it starts (successor.go, by way of launcher.go), talks to (talk.go) and gives
// its sockets and the files of -e to, in the way in which systemd passes sockets (inherit.go).
package process
