package conversation

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExpand(t *testing.T) {
	for text, want := range map[string]string{
		"plain":        "plain",
		`\r\n\t\0\x7f`: "\r\n\t\x00\x7f",
		`\\ \{`:        `\ {`,
		"a{3*bc}d":     "abcbcbcd",
		"{2k*x}":       strings.Repeat("x", 2048),
		"<{name}>":     "<value>",
	} {
		got, missing, err := expand(text, map[string]string{"name": "value"})
		if err != nil || missing != "" || string(got) != want {
			t.Errorf("%q: %q, %q, %v", text, got, missing, err)
		}
	}
	if _, missing, err := expand("{other}", nil); missing != "other" || err != nil {
		t.Errorf("missing %q, %v", missing, err)
	}
	for _, text := range []string{"{3*x", `\q`, `\x1`, "{x*y}", `end\`} {
		if got, _, err := expand(text, nil); err == nil {
			t.Errorf("%q was taken for %q", text, got)
		}
	}
}

func TestParse(t *testing.T) {
	s, err := Parse("a", "# comment\n\n@ -I 8m\n> get a\n<~ END|ERROR\n! wait 2\n! closed\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.lines) != 4 || strings.Join(s.Flags, " ") != "-I 8m" || s.lines[0].text != `get a\r\n` || s.lines[2].seconds != 2 {
		t.Errorf("%+v", s)
	}
	for _, text := range []string{"get a", "! sing", "! wait long", "<~ (", ">get a"} {
		if _, err := Parse("a", text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestRequests(t *testing.T) {
	s, err := Parse("a", "> get a\n< END\n> cas a 0 0 1 {cas}\n>> 1\\r\\n\n! connect\n! wait 1\n> quit\n! closed\n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Requests()
	if want := [][]byte{[]byte("get a\r\ncas a 0 0 1 1\r\n1\r\n"), []byte("quit\r\n"), nil}; err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// scripted is a peer that answers as its script says.
type scripted struct {
	answers io.Reader
	said    bytes.Buffer
	real    bool
}

func (p *scripted) connect() error                 { return nil }
func (p *scripted) hangup() error                  { return nil }
func (p *scripted) wait(int) error                 { return nil }
func (p *scripted) realTime() bool                 { return p.real }
func (p *scripted) Read(b []byte) (int, error)     { return p.answers.Read(b) }
func (p *scripted) say(b []byte, split bool) error { p.said.Write(b); return nil }

// TestFailures shows that a wrong answer is noticed.
func TestFailures(t *testing.T) {
	const good = "> gets a\n<~ VALUE a (?P<n>\\d+)\n<...\n< END\n> cas {n}\n< OK\n> quit\n! closed\n"
	for answers, ok := range map[string]bool{
		"VALUE a 17\r\nx\r\nEND\r\nOK\r\n":         true,
		"VALUE a 17\r\nEND\r\nOK\r\n":              true,
		"VALUE b 17\r\nx\r\nEND\r\nOK\r\n":         false,
		"VALUE a 17\r\nx\r\nEND\r\nOK\r\nmore\r\n": false,
		"VALUE a 17\r\nx\r\nEND\r\nOK\n":           false,
		"VALUE a 17\r\nx\r\n":                      false,
		"":                                         false,
	} {
		for _, mode := range []Mode{Whole, Pipelined} {
			s, err := Parse("a", good)
			if err != nil {
				t.Fatal(err)
			}
			p := &scripted{answers: strings.NewReader(answers)}
			c := &talk{script: s, peer: p, mode: mode, names: map[string]string{}}
			if at, err := c.all(); (err == nil) != ok {
				t.Errorf("%q, %v: line %d: %v", answers, mode, at, err)
			} else if ok && p.said.String() != "gets a\r\ncas 17\r\nquit\r\n" {
				t.Errorf("said %q", p.said.String())
			}
		}
	}
}

// TestSeconds: a number of seconds may be off by what has really passed, in one direction, and not at all where time stands still.
func TestSeconds(t *testing.T) {
	const text = "> a\n< t{left 30} l{since 4} {name}.\n> b\n<~ t={left 30} c=(?P<name>\\d+)\n"
	for _, test := range []struct {
		answers string
		passed  time.Duration // negative: time stands still
		ok      bool
	}{
		{"t30 l4 x.\r\nt=30 c=7\r\n", -1, true},
		{"t29 l4 x.\r\nt=30 c=7\r\n", -1, false},
		{"t30 l5 x.\r\nt=30 c=7\r\n", -1, false},
		{"t30 l4 x.\r\nt=29 c=7\r\n", -1, false},
		{"t29 l5 x.\r\nt=29 c=7\r\n", 0, true},
		{"t30 l4 x.\r\nt=28 c=7\r\n", 0, false},
		{"t30 l4 x.\r\nt=31 c=7\r\n", time.Hour, false},
		{"t30 l3 x.\r\nt=30 c=7\r\n", time.Hour, false},
		{"t0 l3604 x.\r\nt=30 c=7\r\n", time.Hour, true},
		{"t-1 l4 x.\r\nt=30 c=7\r\n", time.Hour, false},
		{"t30 l4 xy\r\nt=30 c=7\r\n", time.Hour, false},
	} {
		s, err := Parse("a", text)
		if err != nil {
			t.Fatal(err)
		}
		p := &scripted{answers: strings.NewReader(test.answers + "ERROR\r\n"), real: test.passed >= 0}
		c := &talk{script: s, peer: p, names: map[string]string{"name": "x"}, began: time.Now().Add(-test.passed)}
		if _, err := c.all(); (err == nil) != test.ok {
			t.Errorf("%q after %v: %v", test.answers, test.passed, err)
		}
	}
}

func TestCut(t *testing.T) {
	b := bytes.Repeat([]byte("0123456789"), 3000)
	var got []byte
	single := 0
	for piece := range cut(b) {
		got = append(got, piece...)
		if len(piece) == 1 {
			single++
		}
	}
	if !bytes.Equal(got, b) || single < bytewise {
		t.Errorf("%d bytes, %d of them single", len(got), single)
	}
}
