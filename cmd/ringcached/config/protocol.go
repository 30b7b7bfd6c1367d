package config

import (
	"math"

	"github.com/urfave/cli/v2"

	"ringcached/proto"
)

// Protocol is what clients may say, and who they must be.
type Protocol struct {
	Binding          string // a key of Bindings
	RequestsPerEvent int    // of one connection before others have their turn
	Delimiter        string // of key prefixes; empty: not given
	AuthFile         string // empty: no authentication
	SASL             bool
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

// protocolFlags say what clients may say, and who they must be.
func (c *Config) protocolFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.GenericFlag{
			Name: "protocol", Aliases: []string{"B"}, Category: GroupProtocol,
			Usage: "`PROTOCOL` of all clients: ascii, binary, or auto: found out for each",
			Value: choice{&c.Protocol.Binding, []string{"auto", "ascii", "binary"}},
		},
		&cli.GenericFlag{
			Name: "max-reqs-per-event", Aliases: []string{"R"}, Category: GroupProtocol,
			Usage: "`REQUESTS` served from one connection before others have their turn",
			Value: wholeNumber{&c.Protocol.RequestsPerEvent, 1, math.MaxInt32},
		},
		&cli.GenericFlag{
			Name: "prefix-delimiter", Aliases: []string{"D"}, Category: GroupProtocol,
			Usage:       "`CHARACTER` that ends a key's prefix, and statistics for each prefix from the start",
			Value:       character{&c.Protocol.Delimiter},
			DefaultText: ":, and statistics after `stats detail on`",
		},
		&cli.GenericFlag{
			Name: "auth-file", Aliases: []string{"Y"}, Category: GroupProtocol,
			Usage: "clients must authenticate as a user of this `FILE`, up to 8 lines user:password",
			Value: text{&c.Protocol.AuthFile},
		},
	}, c.protocolSwitches()...)
}

func (c *Config) protocolSwitches() (all []cli.Flag) {
	for _, s := range []struct {
		long, short, usage string
		to                 *bool
	}{
		{"enable-sasl", "S", "binary clients authenticate with SASL PLAIN; -Y alone says so too", &c.Protocol.SASL},
		{"enable-shutdown", "A", "allow the command shutdown", &c.Protocol.Shutdown},
		{"disable-flush-all", "F", "refuse the command flush_all", &c.Protocol.FlushDisabled},
		{"disable-dumping", "X", "refuse the commands stats cachedump, stats detail, stats hotkeys, lru_crawler metadump and mgdump", &c.Protocol.DumpDisabled},
		{"disable-watch", "W", "refuse the command watch", &c.Protocol.WatchDisabled},
		{"disable-cas", "C", "no CAS numbers: clients see 0, and cas finds every item changed", &c.Protocol.NoCAS},
	} {
		all = append(all, &cli.BoolFlag{
			Name: s.long, Aliases: []string{s.short}, Category: GroupProtocol,
			Usage:              s.usage,
			DisableDefaultText: true,
			Destination:        s.to,
		})
	}
	return all
}
