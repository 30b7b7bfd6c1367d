package conversation

// Requests is what the client says, connection by connection, for who wants the bytes and not the answers: the seeds of fuzz tests. A name
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
