#!/bin/sh
# A TCP socket that was bound to port 0, listened on, and then shut down with shutdown(2), is given another port by the next listen(2), without
# a word, although getsockname(2) still tells the old one in between.
#
# The good guess: a socket keeps the port that it was bound to until it is closed, so that listening again is listening again. That is so where
# bind(2) named the port, and shutdown(2) of a listening socket is a common way to pause a listener or to wake who waits in accept(2).
#
# What happens: Linux locks a port to a socket only if bind(2) named it (SOCK_BINDPORT_LOCK). shutdown(2) with SHUT_RD disconnects a listening
# socket, which gives up a port that is not locked, and listen(2) then takes any free one (inet_csk_listen_start calls get_port again).
# Clients that know the first port are refused.
#
# Seen on Linux 6.18.44, x86-64. Source: net/ipv4/tcp.c (tcp_set_state), net/ipv4/inet_connection_sock.c (inet_csk_listen_start), net/ipv4/af_inet.c
# (inet_shutdown, __inet_bind).
#
# Needs Go and nothing else. It prints what the kernel does, and fails if that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/main.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"syscall"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func port(fd int) int {
	name, err := syscall.Getsockname(fd)
	must(err)
	return name.(*syscall.SockaddrInet4).Port
}

// again binds to a port, listens, shuts down and listens again, and returns the ports that getsockname tells meanwhile.
func again(bound int) (before, shut, after int) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(err)
	defer syscall.Close(fd)
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Port: bound, Addr: [4]byte{127, 0, 0, 1}}))
	must(syscall.Listen(fd, 1))
	before = port(fd)
	must(syscall.Shutdown(fd, syscall.SHUT_RDWR))
	shut = port(fd)
	must(syscall.Listen(fd, 1))
	return before, shut, port(fd)
}

func main() {
	moved := false
	var free int
	for range 5 { // the same port could come again by chance
		before, shut, after := again(0)
		fmt.Printf("bound to 0:    port %d, after shutdown %d, after listen %d\n", before, shut, after)
		moved = moved || before == shut && before != after
		free = before
	}
	before, shut, after := again(free)
	fmt.Printf("bound to %d: port %d, after shutdown %d, after listen %d\n", free, before, shut, after)
	if !moved || before != after {
		fmt.Println("the kernel does something else now")
		os.Exit(1)
	}
}
GO
cd "$dir"
GO111MODULE=off go run main.go
