package conversation

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"ringcached/proto"
	"ringcached/store"
)

// options are what a worker is made with.
type options struct {
	store store.Config
	proto proto.Config
}

// flag is a command line flag that changes how requests are answered. One without number and text has no value.
type flag struct {
	is     func(*options)
	number func(*options, int)
	text   func(*options, string) error
}

var flags = map[string]flag{
	"-A":         {is: func(o *options) { o.proto.Shutdown = func(bool) {} }},
	"-B":         {text: setProtocol},
	"-C":         {is: func(o *options) { o.store.NoCAS, o.proto.Settings.NoCAS = true, true }},
	"-D":         {text: setPrefix},
	"-F":         {is: func(o *options) { o.proto.Settings.FlushDisabled = true }},
	"-I":         {number: func(o *options, n int) { o.store.ItemMax = n }},
	"-M":         {is: func(o *options) { o.store.NoEvict = true }},
	"-X":         {is: func(o *options) { o.proto.Settings.DumpDisabled = true }},
	"-o":         {text: setExtended},
	"-R":         {number: func(o *options, n int) { o.proto.RequestsPerEvent = n }},
	"-W":         {is: func(o *options) { o.proto.Settings.WatchDisabled = true }},
	"-Y":         {text: setPasswords},
	"--hot-keys": {is: func(o *options) { o.proto.Settings.HotKeys = true }},
	"-m":         {number: func(o *options, n int) { o.store.Limit = int64(n) << 20 }},
}

// Configure returns what a store and a proto.Server are made with to do what command line flags say. A script has its own in Flags.
func Configure(line []string) (store.Config, proto.Config, error) {
	o, err := configure(line)
	if err != nil {
		return store.Config{}, proto.Config{}, err
	}
	return o.store, o.proto, nil
}

// configure does what the flags say.
func configure(line []string) (*options, error) {
	o := &options{
		store: store.Config{Limit: 64 << 20, LimitMax: 1 << 30, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48, Seed: 1},
		proto: proto.Config{Version: "1.6.45", Start: time.Now(), PID: 1},
	}
	shown := &o.proto.Settings
	shown.Crawler, shown.CrawlerSleep, shown.SlabReassign = true, 100, true
	for len(line) > 0 {
		name, f := line[0], flags[line[0]]
		line = line[1:]
		switch {
		case f.is != nil:
			f.is(o)
			continue
		case f.number == nil && f.text == nil:
			return nil, fmt.Errorf("flag %s does not change how requests are answered", name)
		case len(line) == 0:
			return nil, fmt.Errorf("flag %s without a value", name)
		}
		if err := f.set(o, line[0]); err != nil {
			return nil, fmt.Errorf("flag %s: %w", name, err)
		}
		line = line[1:]
	}
	shown.ItemMax, shown.ChunkSize = o.store.ItemMax, o.store.ChunkMin
	shown.Evictions, shown.Factor = !o.store.NoEvict, o.store.Factor
	shown.Shutdown = o.proto.Shutdown != nil
	return o, nil
}

// set gives the flag its value.
func (f *flag) set(o *options, value string) error {
	if f.text != nil {
		return f.text(o, value)
	}
	n, err := size(value)
	if err == nil {
		f.number(o, n)
	}
	return err
}

func setProtocol(o *options, value string) error {
	p, ok := map[string]proto.Protocol{"auto": proto.ProtocolAuto, "ascii": proto.ProtocolText, "binary": proto.ProtocolBinary}[value]
	if !ok {
		return fmt.Errorf("unknown protocol %q", value)
	}
	o.proto.Protocol = p
	return nil
}

// setExtended takes an extended option.
func setExtended(o *options, name string) error {
	settings := &o.proto.Settings
	switch name {
	case "track_sizes":
		settings.TrackSizes, o.store.TrackSizes = true, true
	case "no_lru_crawler":
		settings.Crawler = false
	case "no_slab_reassign":
		settings.SlabReassign = false
	default:
		return fmt.Errorf("extended option %q does not change how requests are answered", name)
	}
	return nil
}

// setPrefix says what ends a key's prefix.
func setPrefix(o *options, value string) error {
	o.proto.Settings.Prefix, o.proto.Settings.PrefixDetail = value, true
	return nil
}

// setPasswords reads a file of lines user:password.
func setPasswords(o *options, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	users := passwords{}
	for line := range strings.Lines(string(text)) {
		user, password, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok {
			return fmt.Errorf("no password in %q", line)
		}
		users[user] = password
	}
	o.proto.Auth = users
	return nil
}

// passwords are those of a script's users by their names.
type passwords map[string]string

// Authenticate implements proto.Authenticator.
func (p passwords) Authenticate(user, password []byte) bool {
	want, ok := p[string(user)]
	return ok && bytes.Equal(password, []byte(want))
}
