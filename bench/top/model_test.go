package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// newModel is one whose server is not there: its commands are not run.
func newModel() *model {
	m := &model{view: *busy(), session: &session{}, ctx: nil}
	m.last = m.change.to
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	return m
}

// press gives a model keys, by their names, and returns the last command.
func press(m *model, names ...string) (cmd tea.Cmd) {
	keys := map[string]tea.Key{
		"left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgdown": {Code: tea.KeyPgDown},
		"end": {Code: tea.KeyEnd}, "home": {Code: tea.KeyHome}, "tab": {Code: tea.KeyTab}, "esc": {Code: tea.KeyEscape}, "space": {Code: tea.KeySpace, Text: " "},
		"ctrl+c": {Code: 'c', Mod: tea.ModCtrl},
	}
	for _, name := range names {
		key, special := keys[name]
		if !special {
			key = tea.Key{Code: rune(name[0]), Text: name}
		}
		_, cmd = m.Update(tea.KeyPressMsg(key))
	}
	return cmd
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		keys string
		ok   func(m *model) bool
	}{
		{"2", func(m *model) bool { return m.page == slabPage }},
		{"right right", func(m *model) bool { return m.page == hotPage }},
		{"left", func(m *model) bool { return m.page == batchPage }},
		{"tab tab tab tab", func(m *model) bool { return m.page == overviewPage }},
		{"2 s", func(m *model) bool { return m.sortBy == usedColumn+1 }},
		{"2 s S S", func(m *model) bool { return m.sortBy == usedColumn-1 }},
		{"?", func(m *model) bool { return m.help }}, {"? ?", func(m *model) bool { return !m.help }}, {"? esc", func(m *model) bool { return !m.help }},
		{"? 2", func(m *model) bool { return !m.help && m.page == slabPage }},
		{"2 down down up", func(m *model) bool { return m.scroll == 1 }}, {"2 up", func(m *model) bool { return m.scroll == 0 }},
		{"2 end", func(m *model) bool { return m.scroll == 11 }}, {"2 pgdown home", func(m *model) bool { return m.scroll == 0 }},
		{"2 end 1", func(m *model) bool { return m.scroll == 0 }},
		{"p", func(m *model) bool { return m.paused }}, {"p space", func(m *model) bool { return !m.paused }},
		{"+", func(m *model) bool { return m.interval == 2*time.Second }}, {"-", func(m *model) bool { return m.interval == 500*time.Millisecond }},
		{"- - - - - - - -", func(m *model) bool { return m.interval == intervals[0] }}, {"+ + + + + + + + +", func(m *model) bool { return m.interval == time.Minute }},
		{"x", func(m *model) bool { return m.page == overviewPage && m.scroll == 0 }},
	} {
		m := newModel()
		if press(m, strings.Fields(c.keys)...); !c.ok(m) {
			t.Errorf("%s: page %d, scroll %d, sorted by %d, every %v, help %v, paused %v", c.keys, m.page, m.scroll, m.sortBy, m.interval, m.help, m.paused)
		}
	}
	for _, key := range []string{"q", "ctrl+c", "esc"} {
		cmd := press(newModel(), key)
		if cmd == nil {
			t.Errorf("%s does nothing", key)
		} else if _, quits := cmd().(tea.QuitMsg); !quits {
			t.Errorf("%s does not quit", key)
		}
	}
	m := newModel()
	m.interval = 1500 * time.Millisecond // of --interval
	if press(m, "+"); m.interval != 2*time.Second {
		t.Errorf("one more than 1.5 s is %v", m.interval)
	}
}

// TestAsksOneAtATime: a timer asks, unless it is stale, the server has not answered yet, or nothing is to be asked.
func TestAsksOneAtATime(t *testing.T) {
	m := newModel()
	asks := func(msg tea.Msg) bool { _, cmd := m.Update(msg); return cmd != nil }
	m.schedule()
	if m.schedule(); asks(dueMsg(1)) || m.asking {
		t.Error("a stale timer asks")
	}
	if !asks(dueMsg(2)) || !m.asking {
		t.Error("the timer does not ask")
	}
	if asks(dueMsg(2)) {
		t.Error("it is asked twice")
	}
	if press(m, "+") != nil {
		t.Error("another interval asks while the server is asked")
	}
	if !asks(answerMsg{reading(1002, nil), nil}) || m.asking || m.timer != 3 {
		t.Error("nothing is scheduled after an answer")
	}
	if press(m, "p"); asks(dueMsg(3)) {
		t.Error("it asks though paused")
	}
	if press(m, "p") == nil || !asks(dueMsg(4)) {
		t.Error("it does not go on")
	}
}

// TestLost: figures stay, rates do not; what comes back begins anew, and has no negative rates.
func TestLost(t *testing.T) {
	m := newModel()
	m.Update(answerMsg{nil, errors.New("can't connect to x\x1b[2J: connection refused")})
	screen := strings.Join(m.screen(80, 24), "\n")
	if !strings.Contains(screen, "can't connect to x%1B[2J: connection refused") || !strings.Contains(screen, "50 of 1024") || m.change.from != nil {
		t.Errorf("lost:\n%s", screen)
	}
	if shown := m.View(); !strings.Contains(shown.Content, "trying again every 1s") || !strings.Contains(shown.Content, "Lost for 0 s: can't connect") || !shown.AltScreen {
		t.Errorf("shown:\n%s", shown.Content)
	}
	m.Update(answerMsg{reading(1, stats(map[string]string{"cmd_get": "5"})), nil})
	m.page = hotPage // which this server does not have
	m.Update(answerMsg{reading(2, stats(map[string]string{"cmd_get": "8"})), nil})
	if got := m.change.rate(general, "cmd_get"); got != 3 || m.problem != "" || m.page != overviewPage {
		t.Errorf("back: %v gets per second, %q, page %d", got, m.problem, m.page)
	}
	for range historyMost + 5 {
		m.answered(reading(3, nil), nil)
	}
	if len(m.history) != historyMost {
		t.Errorf("a history of %d", len(m.history))
	}
}
