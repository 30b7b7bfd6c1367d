package conversation

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Script is one file.
type Script struct {
	Name  string   // the file's name without .txt
	Flags []string // command line flags that the server is started with; ./name is a file beside the script
	lines []line
}

type kind uint8

const (
	send          kind = iota
	request            // a binary message that the client sends
	expect             // literal bytes
	expectSeconds      // a line in which real seconds are counted
	expectReply        // a binary message
	skipReplies        // binary messages up to the next expectation
	match              // a line, by a pattern
	skip               // lines up to the next expectation
	wait               // seconds
	connect            // a new connection
	closed             // by the server
)

// line is one line of a file that says something.
type line struct {
	number  int
	kind    kind
	text    string // send, expect: with escapes and braces, ending included; binary messages: their words
	pattern *regexp.Regexp
	seconds int
}

// Load reads the files *.txt of a directory.
func Load(dir string) ([]*Script, error) {
	dir, err := filepath.Abs(dir) // a server may be started elsewhere
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no conversations in %s", dir)
	}
	var scripts []*Script
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := Parse(strings.TrimSuffix(filepath.Base(name), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		for i, flag := range s.Flags {
			if strings.HasPrefix(flag, "./") {
				s.Flags[i] = filepath.Join(dir, flag)
			}
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}

// Parse reads the text of a file.
func Parse(name, text string) (*Script, error) {
	s := &Script{Name: name}
	for i, l := range strings.Split(text, "\n") {
		if err := s.add(i+1, l); err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", name, i+1, err)
		}
	}
	return s, nil
}

// add takes one line of the file.
func (s *Script) add(number int, text string) error {
	if text == "" || text[0] == '#' {
		return nil
	}
	mark, rest, _ := strings.Cut(text, " ")
	l := line{number: number, text: rest}
	var err error
	switch mark {
	case "@":
		s.Flags = append(s.Flags, strings.Fields(rest)...)
		return nil
	case ">":
		l.kind, l.text = send, rest+`\r\n`
	case ">>":
		l.kind = send
	case "<":
		l.kind, l.text = expect, rest+`\r\n`
		if hasSeconds(rest) {
			l.kind, l.text = expectSeconds, rest
		}
	case "<<":
		l.kind = expect
	case ">:":
		l.kind = request
	case "<:":
		l.kind = expectReply
	case "<:...":
		l.kind = skipReplies
	case "<~":
		l.kind = match
		l.pattern, err = compile(rest)
	case "<...":
		l.kind = skip
	case "!":
		err = l.direct(rest)
	default:
		err = fmt.Errorf("%q is no beginning of a line", mark)
	}
	s.lines = append(s.lines, l)
	return err
}

// bytes is what the client sends in a line. A name that is not known yet is reported as missing.
func (l *line) bytes(names map[string]string) (out []byte, missing string, err error) {
	if l.kind == send {
		return expand(l.text, names)
	}
	f, missing, err := parseFrame(magicRequest, l.text, names)
	if missing != "" || err != nil {
		return nil, missing, err
	}
	return f.bytes(), "", nil
}

// sends says that the line is the client's.
func (l *line) sends() bool { return l.kind == send || l.kind == request }

// direct reads what stands behind an exclamation mark.
func (l *line) direct(text string) (err error) {
	switch word, arg, _ := strings.Cut(text, " "); word {
	case "wait":
		l.kind = wait
		l.seconds, err = strconv.Atoi(arg)
	case "connect":
		l.kind = connect
	case "closed":
		l.kind = closed
	default:
		err = fmt.Errorf("unknown direction %q", word)
	}
	return err
}

// expand gives the bytes that text stands for; names are what patterns matched. An unknown name is reported as missing.
func expand(text string, names map[string]string) (out []byte, missing string, err error) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			b, n, err := unescape(text[i:])
			if err != nil {
				return nil, "", err
			}
			out = append(out, b)
			i += n - 1
		case '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, "", fmt.Errorf("brace without end in %q", text)
			}
			inner := text[i+1 : i+end]
			if count, what, ok := strings.Cut(inner, "*"); ok {
				n, err := size(count)
				if err != nil {
					return nil, "", err
				}
				out = append(out, strings.Repeat(what, n)...)
			} else if v, ok := names[inner]; ok {
				out = append(out, v...)
			} else {
				missing = inner
			}
			i += end
		default:
			out = append(out, text[i])
		}
	}
	return out, missing, nil
}

// unescape reads one escape at the beginning of text and says how long it is.
func unescape(text string) (b byte, n int, err error) {
	if len(text) >= 4 && text[1] == 'x' {
		v, err := strconv.ParseUint(text[2:4], 16, 8)
		return byte(v), 4, err
	}
	if len(text) >= 2 {
		if i := strings.IndexByte(`rnt0\{`, text[1]); i >= 0 {
			return "\r\n\t\x00\\{"[i], 2, nil
		}
	}
	return 0, 0, fmt.Errorf("bad escape at %q", text)
}

// size reads a number that may end in k or m.
func size(text string) (int, error) {
	unit := 1
	switch {
	case strings.HasSuffix(text, "k"):
		unit, text = 1<<10, text[:len(text)-1]
	case strings.HasSuffix(text, "m"):
		unit, text = 1<<20, text[:len(text)-1]
	}
	n, err := strconv.Atoi(text)
	return n * unit, err
}

// Requests is what the client says, connection by connection, for callers that want the bytes and not the answers: the seeds of fuzz tests. A name
// that stands for a part of an answer is 1 here.
func (s *Script) Requests() (connections [][]byte, err error) {
	var said []byte
	for _, l := range s.lines {
		if l.kind == connect || l.kind == closed {
			connections, said = append(connections, said), nil
		}
		if !l.sends() {
			continue
		}
		b, err := l.anyBytes()
		if err != nil {
			return nil, err
		}
		said = append(said, b...)
	}
	return append(connections, said), nil
}

// anyBytes is what the client sends in a line, whatever was answered before.
func (l *line) anyBytes() ([]byte, error) {
	names := map[string]string{}
	for {
		b, missing, err := l.bytes(names)
		if missing == "" || err != nil {
			return b, err
		}
		names[missing] = "1"
	}
}
