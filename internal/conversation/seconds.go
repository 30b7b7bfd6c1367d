package conversation

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// seconds is a number in an answer that changes while time passes: what is {left} until something happens gets less, what has passed
// {since} something gets more.
type seconds struct {
	left bool
	want int
}

// secondsInText finds it in a script's line.
var secondsInText = regexp.MustCompile(`\{(left|since) (\d+)\}`)

func hasSeconds(text string) bool { return secondsInText.MatchString(text) }

// compile makes a pattern of a line. Each number of seconds becomes a group that is named after it.
func compile(text string) (*regexp.Regexp, error) {
	groups := 0
	text = secondsInText.ReplaceAllStringFunc(text, func(s string) string {
		groups++
		found := secondsInText.FindStringSubmatch(s)
		return fmt.Sprintf(`(?P<%s_%s_%d>\d+)`, found[1], found[2], groups)
	})
	return regexp.Compile("^(?:" + text + ")$")
}

// parseSeconds reads the name of such a group.
func parseSeconds(group string) (s seconds, ok bool) {
	parts := strings.Split(group, "_")
	if len(parts) != 3 || parts[0] != "left" && parts[0] != "since" {
		return seconds{}, false
	}
	n, err := strconv.Atoi(parts[1])
	return seconds{left: parts[0] == "left", want: n}, err == nil
}

// check compares with what the server said when up to slack seconds more have passed than the script knows of.
func (s seconds) check(got string, slack int) error {
	n, err := strconv.Atoi(got)
	if err != nil {
		return err
	}
	low, high := s.want, s.want+slack
	if s.left {
		low, high = max(s.want-slack, 0), s.want
	}
	if n < low || n > high {
		return fmt.Errorf("want %d to %d seconds, got %d", low, high, n)
	}
	return nil
}

// expectSeconds is expect for a line in which there are such numbers.
func (c *talk) expectSeconds(l line) error {
	var pattern strings.Builder
	for text := l.text; text != ""; {
		at := secondsInText.FindStringIndex(text)
		if at == nil {
			at = []int{len(text), len(text)}
		}
		literal, missing, err := expand(text[:at[0]], c.names)
		if err != nil {
			return err
		}
		if missing != "" {
			return fmt.Errorf("nothing matched %q", missing)
		}
		pattern.WriteString(regexp.QuoteMeta(string(literal)) + text[at[0]:at[1]])
		text = text[at[1]:]
	}
	p, err := compile(pattern.String())
	if err != nil {
		return errors.Join(errors.New(l.text), err)
	}
	return c.match(p)
}
