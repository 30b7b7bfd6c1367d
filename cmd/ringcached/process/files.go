package process

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// PortFileVariable in the environment names a file to which the server writes the ports that it listens on, by which
// test suites find a server that was started with -p -1.
const PortFileVariable = "MEMCACHED_PORT_FILENAME"

// WritePortFile writes the ports to the file that the environment names, if it does.
func WritePortFile(tcp, udp []netip.AddrPort) error {
	path := os.Getenv(PortFileVariable)
	if path == "" || len(tcp)+len(udp) == 0 {
		return nil
	}
	var lines strings.Builder
	for _, kind := range []struct {
		name  string
		addrs []netip.AddrPort
	}{{"TCP", tcp}, {"UDP", udp}} {
		for _, addr := range kind.addrs {
			family := "INET"
			if addr.Addr().Is6() {
				family = "INET6"
			}
			fmt.Fprintf(&lines, "%s %s: %d\n", kind.name, family, addr.Port())
		}
	}
	if err := writeAside(path, lines.String()); err != nil {
		return fmt.Errorf("%s: %w", PortFileVariable, err)
	}
	return nil
}

// WritePIDFile writes the process id to the file of -P, if there is one.
func WritePIDFile(path string) error {
	if path == "" {
		return nil
	}
	if err := writeAside(path, strconv.Itoa(os.Getpid())+"\n"); err != nil {
		return fmt.Errorf("-P, --pidfile: %w", err)
	}
	return nil
}

// RemovePIDFile removes the file, if it is there and names this process.
func RemovePIDFile(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil
	}
	text, err := os.ReadFile(path)
	if err == nil && string(text) == strconv.Itoa(os.Getpid())+"\n" {
		err = os.Remove(path)
	}
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("-P, --pidfile: %w", err)
	}
	return nil
}

// writeAside writes a file beside path and renames it, so that nobody reads half of it.
// A symbolic link at either place is replaced and not followed, as root may be writing
// to a directory that belongs to somebody else. What is no plain file, such as /dev/null, stays.
func writeAside(path, text string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	aside := path + ".tmp"
	if err := os.Remove(aside); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(aside, path)
	}
	if err != nil {
		_ = os.Remove(aside)
	}
	return err
}
