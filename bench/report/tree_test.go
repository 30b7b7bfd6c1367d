package report

import (
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"strings"
)

// node is an element of a page, or a piece of its text.
type node struct {
	Name     string // of the element; "": a text
	Text     string
	Attr     []xml.Attr
	Parent   *node
	children []*node
}

// Descendants are all nodes below n, in the order of the page.
func (n *node) Descendants() iter.Seq[*node] {
	return func(yield func(*node) bool) { n.walk(yield) }
}

func (n *node) walk(yield func(*node) bool) bool {
	for _, c := range n.children {
		if !yield(c) || !c.walk(yield) {
			return false
		}
	}
	return true
}

// parsePage reads a page whose elements all end, but for those that HTML leaves open: anything else is an error, which a browser would hide.
func parsePage(page io.Reader) (root *node, err error) {
	root = &node{}
	d := xml.NewDecoder(page)
	d.Entity, d.AutoClose = xml.HTMLEntity, xml.HTMLAutoClose
	d.Strict = false // for AutoClose, and attributes without a value
	for at := root; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			c := &node{Name: strings.ToLower(token.Name.Local), Attr: token.Copy().Attr, Parent: at}
			at.children = append(at.children, c)
			at = c
		case xml.EndElement:
			at = at.Parent
		case xml.CharData:
			at.children = append(at.children, &node{Text: string(token), Parent: at})
		}
	}
}
