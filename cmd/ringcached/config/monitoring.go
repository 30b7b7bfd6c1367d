package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// Monitoring says what programs that watch over the server can see of it.
type Monitoring struct {
	Metrics    string        // address of /metrics, health and the page: host:port, :port or the path of a unix socket; empty: none
	Keys       bool          // the page shows keys
	HotKeys    bool          // the keys that are used most are looked for
	DrainDelay time.Duration // the server accepts connections that long after it has begun to say that it is not ready
}

// monitoringFlags are about what others see of the server.
func (c *Config) monitoringFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "metrics", Category: GroupMonitoring,
			Usage: "serve /metrics for Prometheus, /livez, /readyz and a page to look at, over HTTP, at this `ADDRESS`: host:port, :port or the path of a unix socket",
			Value: httpAddress{&c.Monitoring.Metrics},
		},
		&cli.BoolFlag{
			Name: "metrics-keys", Category: GroupMonitoring,
			Usage:              "show keys of items there too",
			DisableDefaultText: true,
			Destination:        &c.Monitoring.Keys,
		},
		&cli.BoolFlag{
			Name: "hot-keys", Category: GroupMonitoring,
			Usage:              "find the keys that are used most, by samples, for `stats hotkeys`",
			DisableDefaultText: true,
			Destination:        &c.Monitoring.HotKeys,
		},
		&cli.GenericFlag{
			Name: "drain-delay", Category: GroupMonitoring,
			Usage: "when told to stop, say so at /readyz, and accept connections for this `TIME` before stopping",
			Value: span{&c.Monitoring.DrainDelay, 0, time.Hour},
		},
	}
}

func (c *Config) validateMonitoring() error {
	m := &c.Monitoring
	switch {
	case m.Keys && m.Metrics == "":
		return errors.New("--metrics-keys needs --metrics")
	case m.Metrics != "" && m.Metrics == c.Network.Unix:
		return errors.New("-s, --unix-socket and --metrics can't have the same path")
	}
	return nil
}

// httpAddress is an address to serve HTTP at.
type httpAddress struct{ to *string }

func (v httpAddress) Set(s string) error {
	if !IsPath(s) {
		_, port, err := net.SplitHostPort(s)
		if err != nil {
			return errors.New("want host:port, [v6]:port, :port or the path of a unix socket")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return fmt.Errorf("want a port from 0 (any free one) to 65535, not %q", port)
		}
	}
	*v.to = s
	return nil
}

func (v httpAddress) String() string {
	if v.to == nil {
		return ""
	}
	return *v.to
}

// IsPath reports whether an address of --metrics is the path of a unix socket.
func IsPath(address string) bool { return strings.Contains(address, "/") }
