package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/cmd/ringcached/config"
)

// helpTemplate lays the help out like that of the tools that users of memcached
// know: a flag's forms on the left, what it does on the right.
const helpTemplate = `{{.Name}} - {{.Usage}}

Usage:
{{.UsageText}}
{{range .VisibleFlagCategories}}
{{.Name}}:{{range .Flags}}
  {{.}}{{end}}
{{end}}`

const commandHelpTemplate = `{{.HelpName}} - {{.Usage}}
{{range .VisibleFlags}}
  {{.}}{{end}}
`

// installHelp replaces what urfave/cli keeps in package variables: how a flag is
// shown, and the help flag itself.
func installHelp() {
	cli.FlagStringer = flagLine
	cli.HelpFlag = &cli.BoolFlag{
		Name: "help", Aliases: []string{"h"}, Category: config.CategoryProcess,
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
