package bench

import (
	"context"
	"net"
	"strings"
	"time"
)

// unixPrefix is what the address of a unix socket begins with, as in unix:/run/memcached.sock. Others are host:port.
const unixPrefix = "unix:"

// dialServer opens a stream connection to a server's address.
func dialServer(ctx context.Context, addr string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		return d.DialContext(ctx, "unix", path)
	}
	return d.DialContext(ctx, "tcp", addr)
}
