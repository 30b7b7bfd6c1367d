package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ringcached/proto"
)

// Protocol is what clients may say, and who they must be.
type Protocol struct {
	Binding          string // a key of bindings
	RequestsPerEvent int    // requests of one connection before others have their turn
	Delimiter        string // of key prefixes; empty: not given
	AuthFile         string // empty: no authentication
	sasl             bool
	NoCAS            bool

	Shutdown                                   bool // is a command
	FlushDisabled, DumpDisabled, WatchDisabled bool
}

// Bindings are the values of -B.
var Bindings = map[string]proto.Protocol{
	"auto":   proto.ProtocolAuto,
	"ascii":  proto.ProtocolText,
	"binary": proto.ProtocolBinary,
}

func newProtocol() Protocol { return Protocol{Binding: "auto", RequestsPerEvent: 20} }

func (o *Protocol) flags() []cli.Flag {
	return append([]cli.Flag{
		&cli.GenericFlag{
			Name: "protocol", Aliases: []string{"B"}, Category: categoryProtocol,
			Usage: "`PROTOCOL` of all clients: ascii, binary, or auto: found out for each",
			Value: choice{&o.Binding, []string{"auto", "ascii", "binary"}},
		},
		&cli.GenericFlag{
			Name: "max-reqs-per-event", Aliases: []string{"R"}, Category: categoryProtocol,
			Usage: "`REQUESTS` served from one connection before others have their turn",
			Value: wholeNumber{&o.RequestsPerEvent, 1, math.MaxInt32},
		},
		&cli.GenericFlag{
			Name: "prefix-delimiter", Aliases: []string{"D"}, Category: categoryProtocol,
			Usage:       "`CHARACTER` that ends a key's prefix, and statistics for each prefix from the start",
			Value:       character{&o.Delimiter},
			DefaultText: ":, and statistics after `stats detail on`",
		},
		&cli.GenericFlag{
			Name: "auth-file", Aliases: []string{"Y"}, Category: categoryProtocol,
			Usage: "clients must authenticate as a user of this `FILE`, up to 8 lines user:password",
			Value: text{&o.AuthFile},
		},
	}, o.switches()...)
}

func (o *Protocol) switches() (all []cli.Flag) {
	for _, s := range []struct {
		long, short, usage string
		to                 *bool
	}{
		{"enable-sasl", "S", "binary clients authenticate with SASL PLAIN; -Y alone says so too", &o.sasl},
		{"enable-shutdown", "A", "allow the command shutdown", &o.Shutdown},
		{"disable-flush-all", "F", "refuse the command flush_all", &o.FlushDisabled},
		{"disable-dumping", "X", "refuse the commands stats cachedump, stats detail, lru_crawler metadump and mgdump", &o.DumpDisabled},
		{"disable-watch", "W", "refuse the command watch", &o.WatchDisabled},
		{"disable-cas", "C", "no CAS numbers: clients see 0, and cas finds every item changed", &o.NoCAS},
	} {
		all = append(all, &cli.BoolFlag{
			Name: s.long, Aliases: []string{s.short}, Category: categoryProtocol,
			Usage:              s.usage,
			DisableDefaultText: true,
			Destination:        s.to,
		})
	}
	return all
}

func (o *Protocol) validate() (err error) {
	if o.sasl && o.AuthFile == "" {
		return errors.New("-S, --enable-sasl needs the users of -Y, --auth-file")
	}
	if o.sasl && o.Binding == "ascii" {
		return errors.New("-S, --enable-sasl is for binary clients, which -B ascii does not serve")
	}
	if o.AuthFile == "" {
		return nil
	}
	// Daemons change their directory, and the file is read again later.
	if o.AuthFile, err = filepath.Abs(o.AuthFile); err != nil {
		return fmt.Errorf("-Y, --auth-file: %w", err)
	}
	return nil
}
