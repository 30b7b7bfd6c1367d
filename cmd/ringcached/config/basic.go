package config

import "github.com/urfave/cli/v2"

// basicFlags are those that nearly every server is started with. --help and the manual page begin with them.
func (c *Config) basicFlags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "port", Aliases: []string{"p"}, Category: GroupBasic,
			Usage: "TCP `PORT` to listen on; 0: none, -1: any free one",
			Value: noted{wholeNumber{&c.Network.Port, anyPort, 65535}, &c.Network.portGiven},
		},
		&cli.GenericFlag{
			Name: "memory-limit", Aliases: []string{"m"}, Category: GroupBasic,
			Usage: "memory for items, in `MEGABYTES`",
			Value: megabytes{&c.Memory.Limit, 1, 1 << 24},
		},
		&cli.GenericFlag{
			Name: "conn-limit", Aliases: []string{"c"}, Category: GroupBasic,
			Usage: "`CONNECTIONS` that may be open at a time",
			Value: wholeNumber{&c.Network.MaxConns, 1, 1 << 24},
		},
		&cli.StringSliceFlag{
			Name: "listen", Aliases: []string{"l"}, Category: GroupBasic,
			Usage:       "`ADDRESS` to listen on: host, host:port or [v6]:port, behind proto[ascii]: or proto[binary]: for one protocol only; several with commas or by repeating the flag",
			DefaultText: "every interface",
			Destination: c.Network.Hosts,
		},
	}
}
