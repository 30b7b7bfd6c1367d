package top

import (
	"context"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// historyMost is how many readings the graph may show.
const historyMost = 400

// intervals are those that + and - choose from.
var intervals = []time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
	30 * time.Second, time.Minute,
}

// model is what Bubble Tea runs. The session is used by the command that asks, of which there is one at a time.
type model struct {
	view
	ctx           context.Context
	session       *session
	width, height int
	last          *Reading  // the newest one
	asked         time.Time // when the server was asked last
	asking        bool      // and has not answered yet
	timer         int       // number of the timer that counts; earlier ones are stale
	failed        time.Time // when answers stopped coming
}

type (
	answerMsg struct {
		reading *Reading
		err     error
	}
	dueMsg    int // the number of a timer
	secondMsg struct{}
)

// Init begins to ask, and to draw once a second whether the server answers or not.
func (m *model) Init() tea.Cmd { return tea.Batch(m.schedule(), second()) }

func second() tea.Cmd { return tea.Tick(time.Second, func(time.Time) tea.Msg { return secondMsg{} }) }

// ask asks the server, unless it is asked already.
func (m *model) ask() tea.Cmd {
	if m.asking {
		return nil
	}
	m.asking, m.asked = true, time.Now()
	return func() tea.Msg {
		r, err := m.session.read(m.ctx)
		return answerMsg{r, err}
	}
}

// schedule asks an interval after the server was asked last, or at once if that is over.
func (m *model) schedule() tea.Cmd {
	m.timer++
	number := dueMsg(m.timer)
	return tea.Tick(max(time.Until(m.asked.Add(m.interval)), time.Millisecond), func(time.Time) tea.Msg { return number })
}

// Update is what happens: answers, time, keys, another size.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case secondMsg:
		return m, second()
	case dueMsg:
		if int(msg) == m.timer && !m.paused {
			return m, m.ask()
		}
	case answerMsg:
		m.asking = false
		m.answered(msg.reading, msg.err)
		return m, m.schedule()
	case tea.KeyPressMsg:
		return m, m.pressed(msg.String())
	}
	return m, nil
}

// answered takes a reading, or says why there is none. The figures that are known stay, but no rates.
func (m *model) answered(r *Reading, err error) {
	if err != nil {
		if m.problem == "" {
			m.failed = time.Now()
		}
		m.problem = clean(strings.TrimSpace(err.Error()))
		m.change = Change{to: m.last}
		return
	}
	m.problem = ""
	m.change, m.last = since(m.last, r), r
	m.history = append(m.history, m.change.requests())
	m.history = m.history[max(len(m.history)-historyMost, 0):]
	if !slices.Contains(m.pages(), m.page) {
		m.page = overviewPage
	}
}

// pressed is what a key does.
func (m *model) pressed(key string) tea.Cmd {
	switch key {
	case "q", "ctrl+c", "esc":
		if key == "esc" && m.help {
			m.help = false
			return nil
		}
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "?", "h":
		m.help, m.scroll = !m.help, 0
	case "p", "space":
		if m.paused = !m.paused; !m.paused && !m.asking {
			return m.schedule()
		}
	case "+", "=":
		return m.pace(1)
	case "-":
		return m.pace(-1)
	case "s":
		m.sortBy = (m.sortBy + 1) % len(classColumns)
	case "S":
		m.sortBy = (m.sortBy + len(classColumns) - 1) % len(classColumns)
	case "right", "tab", "l":
		m.turn(1)
	case "left", "shift+tab":
		m.turn(-1)
	case "1", "2", "3", "4":
		if all, n := m.pages(), int(key[0]-'1'); n < len(all) {
			m.page, m.help, m.scroll = all[n], false, 0
		}
	default:
		m.move(key)
	}
	return nil
}

// turn goes to another page.
func (m *model) turn(by int) {
	all := m.pages()
	at := slices.Index(all, m.page)
	m.page, m.help, m.scroll = all[(at+by+len(all))%len(all)], false, 0
}

// move scrolls.
func (m *model) move(key string) {
	by := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -(m.height - frame), "pgdown": m.height - frame, "home": -1 << 20, "end": 1 << 20,
	}[key]
	m.scroll = min(max(m.scroll+by, 0), m.scrollMost(m.width, m.height))
}

// pace takes the next larger interval of the list, or the next smaller one.
func (m *model) pace(by int) tea.Cmd {
	at, found := slices.BinarySearch(intervals, m.interval)
	if by > 0 && found {
		at++
	} else if by < 0 {
		at--
	}
	m.interval = intervals[min(max(at, 0), len(intervals)-1)]
	if m.asking {
		return nil
	}
	return m.schedule()
}

// View draws what there is now.
func (m *model) View() tea.View {
	v := m.view
	if m.asking {
		v.waiting = time.Since(m.asked)
	}
	if v.problem != "" {
		v.problem = "Lost for " + span(time.Since(m.failed).Seconds()) + ": " + v.problem
	}
	shown := tea.NewView(strings.Join(v.screen(m.width, m.height), "\n"))
	shown.AltScreen = true
	return shown
}
