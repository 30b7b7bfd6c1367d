package load

// readyLine has the connections of a ringDriver that wait for a request to arrive, the one that has waited longest first. A connection
// that breaks meanwhile keeps its place, so that each is in it once at most.
type readyLine struct {
	places []*ringConn // a ring
	first  int
	length int
}

func newReadyLine(n int) readyLine { return readyLine{places: make([]*ringConn, n)} }

// add makes c ready.
func (l *readyLine) add(c *ringConn) {
	c.ready = true
	if c.inLine {
		return
	}
	c.inLine = true
	l.places[(l.first+l.length)%len(l.places)] = c
	l.length++
}

// next returns the first that is ready, without taking it; nil: none is.
func (l *readyLine) next() *ringConn {
	for l.length > 0 {
		if c := l.places[l.first]; c.ready {
			return c
		}
		l.drop()
	}
	return nil
}

// take takes what next returned out of the line.
func (l *readyLine) take() {
	l.places[l.first].ready = false
	l.drop()
}

func (l *readyLine) drop() {
	l.places[l.first].inLine = false
	l.first = (l.first + 1) % len(l.places)
	l.length--
}

// sendDue prepares the oldest request that has arrived, if a connection is ready for it. It is one at a time: a send takes the kernel some
// microseconds, by which everything behind it, replies too, would be later.
func (d *ringDriver) sendDue() error {
	o, at := d.rec.open, Now()
	if d.line.length == 0 || d.budget > 0 && !o.due(at) {
		return nil
	}
	d.rec.Lock()
	defer d.rec.Unlock()
	c := d.line.next()
	if c == nil {
		return nil
	}
	d.line.take()
	if d.budget <= 0 {
		d.rest(c)
		return nil
	}
	arrival := o.take()
	if err := d.ask(c, arrival); err != nil {
		return err
	}
	Record(d.rec.lateness, Now()-max(arrival, c.idleSince)) // it is submitted next
	return nil
}

// expire gives up requests over UDP that have waited too long, which it looks for from time to time.
func (d *ringDriver) expire() error {
	at := Now()
	if at-d.looked < int64(idleWait) {
		return nil
	}
	d.looked = at
	d.rec.Lock()
	defer d.rec.Unlock()
	for i := range d.conns {
		c := &d.conns[i]
		if !c.busy || at < c.expires {
			continue
		}
		c.session.lose(d.rec)
		d.settle(c)
		if err := d.proceed(c, at); err != nil {
			return err
		}
	}
	return nil
}
