package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"ringcached/bench/load"
)

// Options say what is watched, and how.
type Options struct {
	Addr     string        // host:port or unix:PATH
	Interval time.Duration // from one question to the next
	Once     bool          // print figures once instead, which is done anyway where out is no terminal to draw on
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	if !load.IsAddress(o.Addr) {
		return fmt.Errorf("address: %q is neither host:port nor %sPATH", o.Addr, load.UnixPrefix)
	}
	return load.InRange("interval", o.Interval, intervals[0], time.Hour)
}

var errInterrupted = errors.New("interrupted before there were figures")

// framesPerSecond is how often the terminal is drawn at most.
const framesPerSecond = 20

// Run watches a server on the terminal out until the user quits or ctx ends, which is no error; the terminal is then as it was before. It fails at
// once if the server does not answer in the beginning; later it tries again. Without a terminal it prints the figures of one interval.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{addr: o.Addr}
	first, err := s.read(ctx)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	terminal, isFile := out.(*os.File)
	if o.Once || !isFile || !isTerminal(terminal) || dumb() {
		return once(ctx, s, first, o, out)
	}
	m := &model{ctx: ctx, session: s, view: view{look: lookOf(os.Getenv), addr: o.Addr, interval: o.Interval, sortBy: usedColumn}}
	m.answered(first, nil)
	m.asked = time.Now()
	p := tea.NewProgram(m, tea.WithOutput(terminal), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond))
	defer context.AfterFunc(ctx, p.Quit)()
	if _, err = p.Run(); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// once prints all pages, of the time from the first reading to one an interval later.
func once(ctx context.Context, s *session, first *Reading, o Options, out io.Writer) error {
	defer s.close()
	select {
	case <-ctx.Done():
		return errInterrupted
	case <-time.After(time.Until(first.At.Add(o.Interval))):
	}
	second, err := s.read(ctx)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	v := &view{addr: o.Addr, change: since(first, second), interval: o.Interval, sortBy: usedColumn}
	_, err = io.WriteString(out, strings.Join(v.report(), "\n")+"\n")
	return err
}

// report are all pages one below the other, without anything but characters.
func (v *view) report() []string {
	const width, tableWidth = 48, 1000
	c := v.change
	lines := []string{strings.Join(v.facts(), ", ") + ", up " + span(c.to.number(general, "uptime"))}
	blocks := c.overview()
	if c.to.offers(batch) {
		blocks = append(blocks, c.batchBlocks()...)
	}
	for i := range blocks {
		lines = append(append(lines, ""), blocks[i].lines(plain, width)...)
	}
	if head, rows := c.classTable(v.sortBy, tableWidth); len(rows) > 0 {
		lines = append(append(lines, "", "Slab classes by "+sortTitle(v.sortBy), head), rows...)
	}
	if head, rows := c.to.hotTable(tableWidth); head != "" {
		lines = append(append(lines, "", "Hot keys", head), rows...)
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}
