package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// configName is the flag that names a file of flags. normalise puts these in its place.
const configName = "config"

func (n *normaliser) setConfig(path string) error {
	if n.where != "" {
		return errors.New("a file of flags can't name another")
	}
	if n.config != "" {
		return errors.New("--config can be given only once")
	}
	if n.config = strings.Trim(path, blanks); n.config == "" {
		return errors.New("--config: want the name of a file")
	}
	return nil
}

// withConfig returns the flags, with those of the file of --config in front: of a flag that can have one value the last counts, which is the
// command line's. Addresses add up, but those of the file are for a command line that has none.
func (n *normaliser) withConfig() ([]string, error) {
	if n.config == "" {
		return n.out, nil
	}
	file, unread, err := openConfig(n.config)
	if err != nil {
		return nil, err
	}
	if unread != nil {
		n.line.warn("--config: %v: it is taken as the server before has read it", unread)
	}
	n.line.File = file
	lines, err := file.lines(func(number int, line string) {
		n.line.warn("%s:%d: %s: lines that begin with -d, -h or no dash are skipped, as Debian's scripts skip them", file.typed, number, line)
	})
	if err != nil {
		return nil, err
	}
	var flags []string
	for _, line := range lines {
		sub := normaliser{table: n.table, line: n.line, where: fmt.Sprintf("%s:%d: ", file.typed, line.number)}
		if err := sub.all(line.words, nil); err != nil {
			return nil, err
		}
		sub.ignoreWords(nil)
		flags = append(flags, sub.out...)
	}
	isListen := func(flag string) bool { return strings.HasPrefix(flag, "--listen=") }
	if slices.ContainsFunc(n.out, isListen) {
		flags = slices.DeleteFunc(flags, isListen)
	}
	return append(flags, n.out...), nil
}
