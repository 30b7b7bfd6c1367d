package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/cmd/ringcached/config"
)

// helpTemplate lays the help out like that of the tools that users of memcached
// know: a flag's forms on the left, what it does on the right.
const helpTemplate = `{{.Name}} - {{.Usage}}

Usage:
{{.UsageText}}
{{range .Metadata.groups}}
{{.Name}}:{{range .Flags}}
  {{.}}{{end}}
{{end}}`

const commandHelpTemplate = `{{.HelpName}} - {{.Usage}}
{{range .VisibleFlags}}
  {{.}}{{end}}
`

// flagGroup is a group of flags and its name.
type flagGroup struct {
	Name  string
	Flags []cli.Flag
}

// groupFlags sorts flags, and the one for help, into their groups. (urfave/cli would sort the groups by name, and the flags too.)
func groupFlags(flags []cli.Flag) (groups []flagGroup) {
	if !slices.Contains(flags, cli.HelpFlag) { // urfave/cli adds it later
		flags = append(slices.Clone(flags), cli.HelpFlag)
	}
	for _, name := range config.Groups {
		group := flagGroup{Name: name}
		for _, f := range flags {
			if f.(cli.CategorizableFlag).GetCategory() == name {
				group.Flags = append(group.Flags, f)
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// installHelp replaces what urfave/cli keeps in package variables: how a flag is
// shown, and the help flag itself.
func installHelp() {
	cli.FlagStringer = flagLine
	cli.HelpFlag = &cli.BoolFlag{
		Name: "help", Aliases: []string{"h"}, Category: config.GroupProcess,
		Usage:              "print this help and exit",
		DisableDefaultText: true,
	}
}

// flagLine is a flag's line in the help: "-m, --memory-limit=MEGABYTES" and,
// behind a tab, what it does.
func flagLine(f cli.Flag) string {
	documented, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	value, usage := placeholder(documented.GetUsage())
	short, long := "    ", ""
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = "-" + name + ", "
		} else {
			long = "--" + name
		}
	}
	if documented.TakesValue() {
		long += "=" + value
	}
	if text := documented.GetDefaultText(); text != "" && documented.TakesValue() {
		usage += fmt.Sprintf(" (default: %s)", text)
	}
	return short + long + "\t" + usage
}

// placeholder takes the first word in backquotes out of a flag's usage, where it
// stands for the value, and returns it with the usage as a sentence.
func placeholder(usage string) (value, sentence string) {
	before, rest, found := strings.Cut(usage, "`")
	value, after, closed := strings.Cut(rest, "`")
	if !found || !closed {
		return "VALUE", usage
	}
	return value, before + strings.ToLower(value) + after
}
