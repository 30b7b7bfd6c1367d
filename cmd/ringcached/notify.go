package main

import (
	"net"
	"os"
)

// notify tells the supervisor that the environment names, as systemd does with Type=notify; see sd_notify(3).
func notify(state string, log logFunc) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		log(1, "NOTIFY_SOCKET: %v", err)
	}
}
