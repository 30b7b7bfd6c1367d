package main

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/statlines"
)

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
