package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// screen is what a terminal of xterm's kind shows. What it does not know is an error, so that no test sees a screen that a user would not.
type screen struct {
	width, height int
	cells         [][]rune
	x, y          int
	full          bool // the last column was written: the next character begins a line
	top, bottom   int  // lines that scroll: from top to before bottom
	rest          []byte
	alternate     bool
	hidden        bool     // the cursor
	unknown       []string // sequences
	titles        []string // that were set
}

func newScreen(width, height int) *screen {
	s := &screen{}
	s.resize(width, height)
	return s
}

// resize empties the screen: programs draw it anew.
func (s *screen) resize(width, height int) {
	s.width, s.height, s.top, s.bottom = width, height, 0, height
	s.cells = nil
	for range height {
		s.cells = append(s.cells, s.blank())
	}
	s.moveTo(s.x, s.y)
}

func (s *screen) blank() []rune { return slices.Repeat([]rune{' '}, s.width) }

func (s *screen) moveTo(x, y int) {
	s.x, s.y, s.full = min(max(x, 0), s.width-1), min(max(y, 0), s.height-1), false
}

func (s *screen) String() string {
	var lines []string
	for _, cells := range s.cells {
		lines = append(lines, strings.TrimRight(string(cells), " "))
	}
	return strings.Join(lines, "\n")
}

// write takes what a program writes, in pieces of any size.
func (s *screen) write(text []byte) {
	s.rest = append(s.rest, text...)
	for len(s.rest) > 0 {
		n := s.next(s.rest)
		if n == 0 {
			return // more has to come
		}
		s.rest = s.rest[n:]
	}
}

// next takes one character or sequence, and says how long it was; 0: it is not complete.
func (s *screen) next(text []byte) int {
	switch c := text[0]; {
	case c == 0x1b:
		return s.escape(text)
	case c == '\r':
		s.moveTo(0, s.y)
	case c == '\n':
		s.feed()
	case c == '\b':
		s.moveTo(s.x-1, s.y)
	case c == '\t':
		s.moveTo(s.x/8*8+8, s.y)
	case c < ' ' || c == 0x7f:
		s.unknown = append(s.unknown, fmt.Sprintf("%q", c))
	default:
		if !utf8.FullRune(text) {
			return 0
		}
		r, n := utf8.DecodeRune(text)
		if s.full {
			s.moveTo(0, s.y)
			s.feed()
		}
		s.cells[s.y][s.x] = r
		if s.full = s.x == s.width-1; !s.full {
			s.x++
		}
		return n
	}
	return 1
}

func (s *screen) feed() {
	if s.y == s.bottom-1 {
		s.scroll(1)
	} else {
		s.moveTo(s.x, s.y+1)
	}
}

// scroll moves the lines that scroll up, or down if n is below 0.
func (s *screen) scroll(n int) {
	for ; n > 0; n-- {
		s.cells = slices.Insert(slices.Delete(s.cells, s.top, s.top+1), s.bottom-1, s.blank())
	}
	for ; n < 0; n++ {
		s.cells = slices.Insert(slices.Delete(s.cells, s.bottom-1, s.bottom), s.top, s.blank())
	}
}

func (s *screen) escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '[':
		end := slices.IndexFunc(text[2:], func(c byte) bool { return c >= '@' && c <= '~' })
		if end < 0 {
			return 0
		}
		s.control(string(text[2:2+end]), text[2+end])
		return end + 3
	case ']', 'P', '_':
		bell, end := slices.Index(text, '\a'), strings.Index(string(text), "\x1b\\")
		if bell < 0 && end < 0 {
			return 0
		}
		n := end + 2
		if end < 0 || bell >= 0 && bell < end {
			n = bell + 1
		}
		s.titles = append(s.titles, fmt.Sprintf("%q", text[:n]))
		return n
	case 'M':
		if s.y == s.top {
			s.scroll(-1)
		} else {
			s.moveTo(s.x, s.y-1)
		}
	case '=', '>': // keypad
	case '(', ')': // character sets
		return min(3, len(text)/3*3)
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("%q", text[:2]))
	}
	return 2
}

// control does a control sequence.
func (s *screen) control(arguments string, final byte) {
	if strings.ContainsAny(arguments, "<=>?$") {
		s.private(arguments, final)
		return
	}
	numbers := []int{0, 0}
	for i, text := range strings.SplitN(arguments, ";", 2) {
		numbers[i], _ = strconv.Atoi(text)
	}
	n := max(numbers[0], 1)
	line, x := s.cells[s.y], s.x
	switch final {
	case 'm', 't':
	case 'H', 'f':
		s.moveTo(max(numbers[1], 1)-1, n-1)
	case 'A':
		s.moveTo(s.x, s.y-n)
	case 'B':
		s.moveTo(s.x, s.y+n)
	case 'C':
		s.moveTo(s.x+n, s.y)
	case 'D':
		s.moveTo(s.x-n, s.y)
	case 'G', '`':
		s.moveTo(n-1, s.y)
	case 'I': // tabs, forward and back
		s.moveTo((x/8+n)*8, s.y)
	case 'Z':
		s.moveTo(((x+7)/8-n)*8, s.y)
	case 'd':
		s.moveTo(s.x, n-1)
	case 'J', 'K':
		s.erase(final, numbers[0])
	case 'X':
		copy(line[x:min(x+n, s.width)], s.blank())
	case '@':
		copy(line, slices.Insert(slices.Clone(line), x, slices.Repeat([]rune{' '}, min(n, s.width))...))
	case 'P':
		copy(line[x:], append(slices.Clone(line[min(x+n, s.width):]), s.blank()...))
	case 'L', 'M':
		was := s.top
		s.top = s.y
		s.scroll(map[byte]int{'L': -1, 'M': 1}[final] * n)
		s.top = was
	case 'S':
		s.scroll(n)
	case 'T':
		s.scroll(-n)
	case 'r':
		s.top, s.bottom = n-1, s.height
		if numbers[1] > 0 {
			s.bottom = min(numbers[1], s.height)
		}
		s.moveTo(0, 0)
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("CSI %s%c", arguments, final))
	}
}

// erase is ED and EL.
func (s *screen) erase(final byte, how int) {
	switch how {
	case 0:
		copy(s.cells[s.y][s.x:], s.blank())
	case 1:
		copy(s.cells[s.y][:s.x+1], s.blank())
	case 2:
		copy(s.cells[s.y], s.blank())
	}
	for y := range s.cells {
		if final == 'J' && (how == 2 || how == 0 && y > s.y || how == 1 && y < s.y) {
			s.cells[y] = s.blank()
		}
	}
}

// private are modes, and questions, which this terminal does not answer.
func (s *screen) private(arguments string, final byte) {
	if modes, ok := strings.CutPrefix(arguments, "?"); ok && (final == 'h' || final == 'l') {
		for mode := range strings.SplitSeq(modes, ";") {
			switch mode {
			case "25":
				s.hidden = final == 'l'
			case "1049":
				s.alternate = final == 'h'
				s.resize(s.width, s.height) // which is enough: nobody looks at what was there before
			}
		}
	}
}
