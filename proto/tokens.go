package proto

import "bytes"

// MaxLine is the longest command line, in bytes with its ending. Only the keys of a get or gets may go on behind it.
const MaxLine = 2048

// maxKey is the longest key in bytes.
const maxKey = 250

// maxArgs tokens of a line are kept apart, which is all that a command looks at; the last one is kept too, for noreply.
const maxArgs = 6

// span is where a token lies in its line.
type span struct{ from, to uint16 }

// request is a command line that is being answered. There is one per worker, so that handing it to a command costs nothing.
type request struct {
	in    []byte // everything at hand from the first byte of the line on
	line  []byte // the line without its ending
	size  int    // of the line with its ending
	quiet bool   // noreply
	n     int    // tokens in the line, the command's name among them
	args  [maxArgs]span
	last  span
}

// split finds the tokens of r.line, which spaces separate.
func (r *request) split() {
	r.n = 0
	for p := 0; ; {
		for p < len(r.line) && r.line[p] == ' ' {
			p++
		}
		if p == len(r.line) {
			return
		}
		end := bytes.IndexByte(r.line[p:], ' ')
		if end < 0 {
			end = len(r.line) - p
		}
		r.last = span{uint16(p), uint16(p + end)}
		if r.n < maxArgs {
			r.args[r.n] = r.last
		}
		r.n++
		p += end
	}
}

// arg is token i, the command's name being token 0; nil if there are not so many.
func (r *request) arg(i int) []byte {
	if i >= r.n {
		return nil
	}
	return r.line[r.args[i].from:r.args[i].to]
}

// lastArg is the last token.
func (r *request) lastArg() []byte { return r.line[r.last.from:r.last.to] }

// given is how many tokens there are, without a noreply.
func (r *request) given() int {
	if r.quiet {
		return r.n - 1
	}
	return r.n
}

// trimCR takes a carriage return from the end of a line.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
