package config

import (
	"fmt"
	"slices"
	"strings"
)

// CommandLine is what a command line says beside the flags: what the user should know about it, and the file of --config. It is filled while
// the command line is parsed, and used when the server has a log.
type CommandLine struct {
	remarks []string
	File    *configFile // nil: none
}

// remark notes that something is accepted, but not as one might think.
func (l *CommandLine) remark(format string, args ...any) { l.add("remark: "+format, args...) }

// warn notes that something that was asked for will not be.
func (l *CommandLine) warn(format string, args ...any) { l.add("warning: "+format, args...) }

func (l *CommandLine) add(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(l.remarks, line) {
		l.remarks = append(l.remarks, line)
	}
}

// Log logs the remarks, whatever the verbosity.
func (l *CommandLine) Log(log logFunc) {
	for _, line := range l.remarks {
		log(0, "%s", line)
	}
}

// Explain adds the remarks to an error, which may be due to a value that was read otherwise than it was meant.
func (l *CommandLine) Explain(err error) error {
	if err == nil || len(l.remarks) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(l.remarks, "; "))
}

// logFunc logs one line, of level 0 always, of level n when -v was given n times.
type logFunc = func(level int, format string, args ...any)
