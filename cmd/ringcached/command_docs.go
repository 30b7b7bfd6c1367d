package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/statlines"
)

// manSections stand behind what urfave/cli makes of the flags: troff as it is.
//
//go:embed docs/sections.1
var manSections string

// Completion scripts ask the program itself, through completionFlag; fish's is made
// of the flags.
var (
	//go:embed docs/completion.bash
	bashCompletion string
	//go:embed docs/completion.zsh
	zshCompletion string
)

// license is the file LICENSE of the repository, which can't be embedded from there.
//
//go:embed docs/license.txt
var license string

// completionFlag is what completion scripts put behind the words typed so far.
const completionFlag = "--generate-bash-completion"

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
			page, err := c.App.ToManWithSection(1)
			if err != nil {
				return err
			}
			if page, err = groupManual(page, groupFlags(c.App.Flags)); err != nil {
				return err
			}
			_, err = io.WriteString(stdout, page+extendedOptions()+statlines.Troff()+manSections)
			return err
		},
	}
}

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
		fmt.Fprintf(&page, ".TP\n\\fB%s\\fP\n%s.\n", o.Name, strings.ReplaceAll(o.Text, "-", `\-`))
	}
	return page.String()
}

// newStatisticsCommand makes docs/statistics.md.
func newStatisticsCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:         "statistics",
		Usage:        "print what each line of stats means, and which metric it is",
		OnUsageError: usageError,

		CustomHelpTemplate: commandHelpTemplate,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fmt.Errorf("statistics takes no arguments, got %q", c.Args().First())
			}
			_, err := io.WriteString(stdout, statlines.Markdown())
			return err
		},
	}
}

// groupManual sorts the flags of a manual page, which urfave/cli sorts by name, into groups.
func groupManual(page string, groups []flagGroup) (string, error) {
	const heading, nextHeading, separator = ".SH GLOBAL OPTIONS\n", "\n.SH ", "\n\n.PP\n"
	head, rest, found := strings.Cut(page, heading)
	flags, tail, ended := strings.Cut(rest, nextHeading)
	if !found || !ended {
		return "", errors.New("the manual page has no section of flags")
	}
	entries := map[string]string{}
	for entry := range strings.SplitSeq(strings.TrimSpace(flags), separator) {
		name, _, _ := strings.Cut(strings.TrimPrefix(entry, `\fB--`), `\fP`)
		name, _, _ = strings.Cut(name, ",")
		entries[name] = entry
	}
	var out strings.Builder
	out.WriteString(head + ".SH OPTIONS\n")
	for _, group := range groups {
		fmt.Fprintf(&out, ".SS %s\n", group.Name)
		for i, f := range group.Flags {
			entry, found := entries[f.Names()[0]]
			if !found {
				return "", fmt.Errorf("the manual page has no entry for --%s", f.Names()[0])
			}
			if i > 0 {
				out.WriteString(".PP\n")
			}
			out.WriteString(entry + "\n\n")
			delete(entries, f.Names()[0])
		}
	}
	for name := range entries {
		return "", fmt.Errorf("--%s is in no group", name)
	}
	return out.String() + strings.TrimPrefix(nextHeading, "\n") + tail, nil
}

func newCompletionCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:         "completion",
		Usage:        "print the completion script for bash, zsh or fish",
		ArgsUsage:    "bash|zsh|fish",
		OnUsageError: usageError,

		CustomHelpTemplate: commandHelpTemplate,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fmt.Errorf("completion takes the name of a shell: bash, zsh or fish")
			}
			script, err := completionScript(c.App, c.Args().First())
			if err != nil {
				return err
			}
			_, err = io.WriteString(stdout, script)
			return err
		},
	}
}

// shells are those that there are completion scripts for.
var shells = []string{"bash", "zsh", "fish"}

// offer answers a completion script that asks for the values of a flag, or for the shells that completion takes. If it asks for something else the command line
// is returned as urfave/cli answers it: without the empty word that stands for the one being typed.
func offer(app *cli.App, args []string) (rest []string, offered bool) {
	typed := args[1 : len(args)-1]
	words, known := config.Offer(app.Flags, typed)
	if len(typed) == 2 && typed[0] == "completion" && typed[1] == "" {
		words, known = shells, true
	}
	if known {
		fmt.Fprintln(app.Writer, strings.Join(words, "\n"))
		return nil, true
	}
	if n := len(typed); n > 0 && typed[n-1] == "" {
		return append(slices.Clone(args[:n]), completionFlag), false
	}
	return args, false
}

// offerValues adds to a line of fish's script what the flag's value may be: words, or a file.
func offerValues(app *cli.App, line string) string {
	_, name, found := strings.Cut(line, " -f -l ")
	name, _, _ = strings.Cut(name, " ")
	words, list := config.Offers(app.Flags, name)
	switch {
	case found && config.TakesFile(app.Flags, name):
		return strings.Replace(line, " -f -l ", " -F -l ", 1)
	case !found || words == nil:
		return line
	case list:
		return line + fmt.Sprintf(` -a '(__fish_complete_list , "printf %%s\\n %s")'`, strings.Join(words, " "))
	}
	return line + " -a '" + strings.Join(words, " ") + "'"
}

// fishScript is what urfave/cli makes of the flags, with values. There are files only where a flag takes one.
func fishScript(app *cli.App) (string, error) {
	script, err := app.ToFishCompletion()
	lines := strings.Split(strings.ReplaceAll(script, "`", ""), "\n") // around placeholders
	for i, line := range lines {
		lines[i] = offerValues(app, line)
	}
	const command = "complete -c " + appName
	lines = append(lines, command+" -f", command+" -n '__fish_seen_subcommand_from completion' -f -a '"+strings.Join(shells, " ")+"'", "")
	return strings.Join(lines, "\n"), err
}

func completionScript(app *cli.App, shell string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	case "fish":
		return fishScript(app)
	}
	return "", fmt.Errorf("no completion for %q: want bash, zsh or fish", shell)
}

// completing reports whether a completion script asks what could come next. Such a
// command line is unfinished, and is never run: urfave/cli would, behind a "--".
func completing(args []string) (yes, nothing bool) {
	if len(args) < 2 || args[len(args)-1] != completionFlag {
		return false, false
	}
	return true, slices.Contains(args, "--")
}
