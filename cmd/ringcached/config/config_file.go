package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A file of --config is one like Debian's /etc/memcached.conf. It is read as Debian's scripts, which start memcached from it, and the shell
// that they use read it: a line has flags, # begins a comment, lines that begin with -d, -h or no dash are skipped.

const (
	// ConfigMax is how long such a file may be, in bytes. It has to fit into an environment variable, of at most 128 KiB.
	ConfigMax = 64 << 10
	// configVariable in the environment has what a server has read, for one that it starts as another user. See remember.
	configVariable = "RINGCACHED_CONFIG"
)

// configFile is a file of flags and what is in it.
type configFile struct {
	typed string // as on the command line
	path  string // absolute
	text  string
}

// configLine is a line that has something to say.
type configLine struct {
	number int      // from 1
	words  []string // as the shell splits them
}

// openConfig reads a file. One that an earlier server, which started this one, could read, and this one can't, is taken as it was then;
// known is the error then.
func openConfig(typed string) (c *configFile, known error, err error) {
	earlier := rememberedConfig(typed)
	if earlier != nil {
		if info, err := os.Stat(earlier.path); err == nil && !info.Mode().IsRegular() {
			return earlier, nil, nil // a pipe is empty by now
		}
	}
	c = &configFile{typed: typed}
	if c.path, err = filepath.Abs(typed); err == nil {
		if earlier != nil {
			c.path = earlier.path
		}
		c.text, err = readConfig(c.path)
	}
	switch {
	case err == nil:
		return c, nil, nil
	case earlier != nil:
		return earlier, err, nil
	}
	return nil, nil, fmt.Errorf("--config: %w", err)
}

func readConfig(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, ConfigMax+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > ConfigMax:
		return "", fmt.Errorf("%s is longer than %d KiB: that is no file of flags", path, ConfigMax>>10)
	case strings.ContainsRune(string(text), 0):
		return "", fmt.Errorf("%s has a NUL byte in it: that is no file of flags", path)
	}
	return string(text), nil
}

// Remember keeps what was read for processes that this one starts with the same arguments: a daemon, or the next server, which runs as the
// user of -u and may not be able to read the file. It is called once.
func (c *configFile) Remember() {
	if c != nil {
		_ = os.Setenv(configVariable, c.typed+"\n"+c.path+"\n"+c.text)
	}
}

// rememberedConfig returns what the server that started this one has read from the file, nil if there is no such server.
func rememberedConfig(typed string) *configFile {
	parts := strings.SplitN(os.Getenv(configVariable), "\n", 3)
	if len(parts) < 3 || parts[0] != typed {
		return nil
	}
	return &configFile{typed: typed, path: parts[1], text: parts[2]}
}

// lines returns the lines with flags. skipped is called for one that is skipped and says more than that the server shall be a daemon, or
// where to log.
func (c *configFile) lines(skipped func(number int, line string)) (all []configLine, err error) {
	number := 0
	for line := range strings.SplitSeq(c.text, "\n") {
		number++
		line = strings.Trim(line, blanks)
		plain := strings.TrimRight(before(line, "#"), blanks)
		switch {
		case plain == "" || plain == "-d" || plain == "-h" || before(plain, " ") == "logfile":
			continue
		case plain[0] != '-' || strings.HasPrefix(plain, "-d") || strings.HasPrefix(plain, "-h"):
			skipped(number, plain)
			continue
		}
		words, err := splitShell(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", c.typed, number, err)
		}
		all = append(all, configLine{number, words})
	}
	return all, nil
}

func before(s, end string) string {
	s, _, _ = strings.Cut(s, end)
	return s
}

// splitShell splits a line as a shell does: at blanks, with quotes and backslashes, and up to a comment. What else means something to a
// shell is an error: no shell is there to do it. Unlike in a shell # begins a comment within a word too: Debian's scripts take it away
// before the shell sees the line.
func splitShell(line string) (words []string, err error) {
	var word strings.Builder
	inWord := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '#':
			i = len(line)
		case strings.IndexByte(blanks, c) >= 0:
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case c == '\'' || c == '"':
			n, text, err := quoted(line[i:])
			if err != nil {
				return nil, err
			}
			word.WriteString(text)
			inWord = true
			i += n - 1
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			inWord = true
		case strings.IndexByte("$`;&|<>()", c) >= 0:
			return nil, fmt.Errorf("%c has a meaning to a shell, and there is none: quote it", c)
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// quoted returns the text in the quotes that s begins with, and how many bytes they take with it. A backslash counts between double ones.
func quoted(s string) (n int, text string, err error) {
	quote := s[0]
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return i + 1, out.String(), nil
		case c == '\\' && quote == '"' && i+1 < len(s) && strings.IndexByte("\\\"$`", s[i+1]) >= 0:
			i++
			out.WriteByte(s[i])
		case (c == '$' || c == '`') && quote == '"':
			return 0, "", fmt.Errorf("%c has a meaning to a shell, and there is none: put it between single quotes", c)
		default:
			out.WriteByte(c)
		}
	}
	return 0, "", fmt.Errorf("a quote %c is not closed", quote)
}

// configName is the flag that names a file of flags. Normalise puts the flags of the file there.
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
