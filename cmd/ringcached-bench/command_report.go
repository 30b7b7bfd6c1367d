package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	htmlreport "ringcached/bench/oldhtmlreport"

	report "ringcached/bench/oldreport"
)

// reportCommand holds the options of `report`.
type reportCommand struct{ html string }

func newReportCommand(stdout io.Writer) *cli.Command {
	cmd := &reportCommand{}
	return &cli.Command{
		Name:      "report",
		Usage:     "write an HTML page from the result of a comparison",
		ArgsUsage: "FILE.json",
		Description: "FILE.json is what compare wrote with --json, with the results of experiments. The page is one self-contained file\n" +
			"with figures, ratios, how it was measured, and tables of every point and trial.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "html", Usage: "write the page to `FILE` (default: FILE.html)", Destination: &cmd.html},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			result, err := cmd.resolve(c.Args().Slice())
			if err != nil {
				return err
			}
			report, err := report.Read(result)
			if err != nil {
				return err
			}
			if len(report.Experiments) == 0 {
				return fmt.Errorf("%s: a result of %s, without experiments: there is nothing for a page", result, report.Kind)
			}
			if err := htmlreport.Write(cmd.html, &report.Report); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "wrote %s\n", cmd.html)
			return nil
		},
	}
}

// resolve returns the file of the result. --html may follow it.
func (cmd *reportCommand) resolve(args []string) (result string, err error) {
	if len(args) == 0 {
		return "", errors.New("report takes the file of a result, which compare --json writes")
	}
	result, args = args[0], args[1:]
	if len(args) > 0 {
		name, value, joined := strings.Cut(args[0], "=")
		isFlag := name == "--html" || name == "-html"
		switch {
		case isFlag && joined && len(args) == 1:
			cmd.html, args = value, nil
		case isFlag && !joined && len(args) == 2:
			cmd.html, args = args[1], nil
		}
	}
	if len(args) > 0 {
		return "", fmt.Errorf("report takes one file, got %q too", args[0])
	}
	if cmd.html == "" {
		cmd.html = strings.TrimSuffix(result, filepath.Ext(result)) + ".html"
	}
	if cmd.html == result {
		return "", fmt.Errorf("html: %s is the result itself", result)
	}
	return result, nil
}
