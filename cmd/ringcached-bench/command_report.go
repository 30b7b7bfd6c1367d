package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"ringcached/bench/report"
)

func (p *program) reportCommand() command {
	var html string
	return command{
		name: "report", args: "FILE.json", least: 1, most: 1,
		usage: "write an HTML page from the result of a comparison",
		description: "FILE.json is what compare wrote with --json. The page is one self-contained file with figures, ratios, how it was measured, and\n" +
			"tables of every point and sample.",
		options: []option{{"", "html", "write the page to `FILE` (default: FILE.html)", &html, nil}},
		run: func(c *cli.Context) error {
			file := c.Args().First()
			if html == "" {
				html = strings.TrimSuffix(file, filepath.Ext(file)) + ".html"
			}
			if html == file {
				return fmt.Errorf("html: %s is the result itself", file)
			}
			r, err := report.Read(file)
			if err != nil {
				return err
			}
			if len(r.Results) == 0 {
				return fmt.Errorf("%s: a result of %s, without plans: there is nothing for a page", file, r.Kind)
			}
			if err := report.WritePage(html, r); err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "wrote %s\n", html)
			return nil
		},
	}
}
