package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/statlines"
)

// manSections are the last sections of the manual page: troff as it is.
//
//go:embed docs/sections.1
var manSections string

func newManCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:         "man",
		Usage:        "print the manual page",
		OnUsageError: usageError,

		CustomHelpTemplate: commandHelpTemplate,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("man takes no arguments, got %q", c.Args().First())
			}
			_, err := io.WriteString(stdout, manual(c.App))
			return err
		},
	}
}

// manual is the manual page, in troff with the macros of man(7).
func manual(app *cli.App) string {
	var page strings.Builder
	fmt.Fprintf(&page, ".nh\n.TH %s 1\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", appName, appName, troff(app.Usage))
	for i, line := range strings.Split(usageText, "\n") {
		if i > 0 {
			page.WriteString(".br\n")
		}
		form, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		page.WriteString(".B " + troff(form) + "\n")
	}
	fmt.Fprintf(&page, ".SH DESCRIPTION\n%s\n.SH OPTIONS\n", troff(description))
	for _, group := range groupFlags(app.Flags) {
		fmt.Fprintf(&page, ".SS %s\n", group.Name)
		for _, f := range group.Flags {
			page.WriteString(manualFlag(f.(cli.DocGenerationFlag)))
		}
	}
	page.WriteString(".SH COMMANDS\nWithout a command the server serves.\n")
	for _, c := range app.Commands {
		if c.Hidden || c.Name == "help" {
			continue
		}
		takes := c.ArgsUsage
		if len(c.Flags) > 1 { // beside the one for help
			takes = "[flags]"
		}
		fmt.Fprintf(&page, ".TP\n\\fB%s\\fP\n%s.\n", strings.TrimSpace(c.Name+" "+takes), troff(c.Usage))
	}
	return page.String() + extendedOptions() + statlines.Troff() + manSections
}

// manualFlag is a flag's entry: its forms, and what it does.
func manualFlag(f cli.DocGenerationFlag) string {
	line := strings.TrimSpace(flagLine(f))
	forms, usage, _ := strings.Cut(line, "\t")
	forms, value, takesValue := strings.Cut(forms, "=")
	entry := ".TP\n\\fB" + strings.ReplaceAll(troff(forms), ", ", "\\fP, \\fB") + "\\fP"
	if takesValue {
		entry += "=\\fI" + troff(value) + "\\fP"
	}
	return entry + "\n" + troff(usage) + ".\n"
}

// troff escapes a text. A line of it begins with no dot.
func troff(s string) string { return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s) }

// extendedOptions is the manual page's section about -o.
func extendedOptions() string {
	var page strings.Builder
	page.WriteString(".SH EXTENDED OPTIONS\nWhat \\fB\\-o\\fP takes: every name that memcached knows. These have an effect:\n")
	effect := true
	for _, o := range config.Options() {
		if effect && !o.Effect {
			effect = false
			page.WriteString(".PP\nThese are accepted, and the log says that they have none:\n")
		}
		fmt.Fprintf(&page, ".TP\n\\fB%s\\fP\n%s.\n", o.Name, troff(o.Text))
	}
	return page.String()
}
