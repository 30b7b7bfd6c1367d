package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// startLine is what a command line says beside the flags: what the user should know about it, and the file of --config. It is filled while
// the command line is parsed, and used when the server has a log.
type startLine struct {
	remarks []string
	config  *configFile // nil: none
}

// startLineKey is where an app keeps its start line.
const startLineKey = "start line"

func startLineOf(app *cli.App) *startLine { return app.Metadata[startLineKey].(*startLine) }

// remark notes that something is accepted, but not as one might think.
func (l *startLine) remark(format string, args ...any) { l.add("remark: "+format, args...) }

// warn notes that something that was asked for will not be.
func (l *startLine) warn(format string, args ...any) { l.add("warning: "+format, args...) }

func (l *startLine) add(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(l.remarks, line) {
		l.remarks = append(l.remarks, line)
	}
}

// tell logs the remarks, whatever the verbosity.
func (l *startLine) tell(log logFunc) {
	for _, line := range l.remarks {
		log(0, "%s", line)
	}
}

// explain adds the remarks to an error, which may be due to a value that was read otherwise than it was meant.
func (l *startLine) explain(err error) error {
	if err == nil || len(l.remarks) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(l.remarks, "; "))
}
