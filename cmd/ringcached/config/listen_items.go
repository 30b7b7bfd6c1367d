package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ringcached/internal/contract"
)

// listenItem is what one item of -l names: notls:proto[NAME]:tag[NAME]:host:port, of which all but the host may be missing.
type listenItem struct {
	typed    string
	host     string // "": every interface
	port     int    // noPort: that of -p or -U
	protocol string // "": that of -B
	tag      string

	tls       uint8  // contract.LabelTLS and its like; 0: plain
	tlsPrefix string // "": none
}

// noPort is the port of an item that names none.
const noPort = -2

// Prefixes of -l that say whether connections are encrypted; without one it is as -Z says.
const (
	prefixPlain  = "notls:"
	prefixBasic  = "btls:" // no client is asked for a certificate
	prefixMutual = "mtls:" // each client must show one
)

// tlsPrefixes are their labels.
var tlsPrefixes = map[string]uint8{prefixPlain: 0, prefixBasic: contract.LabelBasicTLS, prefixMutual: contract.LabelMutualTLS}

// label is the number that stands for what the listener speaks in package batch.
func (p listenItem) label() uint8 { return p.tls | Label(p.protocol) }

// parseListen takes the values of -l apart: their items are separated by commas or semicolons, and empty ones count for nothing. Without values there is one
// item, every interface. encrypted is whether there is -Z.
func parseListen(values []string, encrypted bool) (items []listenItem, err error) {
	usual := listenItem{port: noPort}
	if encrypted {
		usual.tls = contract.LabelTLS
	}
	if len(values) == 0 {
		return []listenItem{usual}, nil
	}
	for _, value := range values {
		for typed := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ';' }) {
			if typed = strings.TrimSpace(typed); typed == "" {
				continue
			}
			p := usual
			err := p.parse(typed)
			if err != nil {
				return nil, fmt.Errorf("-l, --listen: %q: %w", typed, err)
			}
			items = append(items, p)
		}
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("-l, --listen: no address in %q (* is every interface)", strings.Join(values, ","))
	}
	return items, nil
}

// parse reads an item. Before, it is what one without prefixes and port would be.
func (p *listenItem) parse(typed string) (err error) {
	p.typed = typed
	rest, encrypted := typed, p.tls != 0
	for more := true; more; {
		if rest, more, err = p.prefix(rest, encrypted); err != nil {
			return err
		}
	}
	switch {
	case rest == "":
		return errors.New("no address behind the prefix")
	case strings.Contains(rest, "/"):
		return errors.New("a unix socket is listened on with -s")
	}
	return p.split(rest)
}

// longestTag is memcached's limit.
const longestTag = 8

// prefix takes one prefix off the item, if it begins with one. encrypted is whether there is -Z.
func (p *listenItem) prefix(item string, encrypted bool) (rest string, found bool, err error) {
	for prefix, label := range tlsPrefixes {
		rest, is := strings.CutPrefix(item, prefix)
		switch {
		case !is:
			continue
		case !encrypted:
			return "", false, fmt.Errorf("%s needs -Z, --enable-ssl", prefix)
		case p.tlsPrefix != "":
			return "", false, fmt.Errorf("%s behind %s", prefix, p.tlsPrefix)
		}
		p.tls, p.tlsPrefix = label, prefix
		return rest, true, nil
	}
	for _, form := range []struct {
		opening, closing string
		to               *string
	}{{"proto[", "]", &p.protocol}, {"tag[", "]", &p.tag}, {"tag_", "_", &p.tag}} {
		inside, is := strings.CutPrefix(item, form.opening)
		if !is {
			continue
		}
		name, rest, closed := strings.Cut(inside, form.closing)
		switch {
		case !closed:
			return "", false, fmt.Errorf("no %s behind %s", form.closing, form.opening)
		case *form.to != "":
			return "", false, fmt.Errorf("%s twice", form.opening)
		case form.to == &p.tag && (name == "" || len(name) > longestTag):
			return "", false, fmt.Errorf("a tag has 1 to %d characters", longestTag)
		case form.to == &p.protocol && name == "proxy":
			return "", false, errors.New("there is no proxy here")
		case rest != "" && rest[0] != ':':
			return "", false, fmt.Errorf("want a colon behind %s%s%s", form.opening, name, form.closing)
		}
		*form.to = name
		return strings.TrimPrefix(rest, ":"), true, nil
	}
	return item, false, nil
}

// split takes host, host:port, v6 and [v6]:port apart.
func (p *listenItem) split(rest string) error {
	host, port, named := rest, "", false
	if inside, bracket := strings.CutPrefix(rest, "["); bracket {
		var closed bool
		host, port, closed = strings.Cut(inside, "]")
		if named = port != ""; !closed || host == "" || named && port[0] != ':' {
			return errAddress
		}
		port = strings.TrimPrefix(port, ":")
	} else if strings.Count(rest, ":") == 1 {
		host, port, named = strings.Cut(rest, ":")
	}
	if p.host = host; host == "*" {
		p.host = ""
	}
	if !named {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(port))
	if err != nil || n < 0 || n > 65535 {
		return errPort
	}
	if p.port = n; n == 0 {
		p.port = anyPort
	}
	return nil
}

// forDatagrams are the items for datagrams, each of which shows its protocol, and none of which is encrypted.
func forDatagrams(items []listenItem) []listenItem {
	items = slices.Clone(items)
	for i := range items {
		items[i].protocol, items[i].tls = "", 0
	}
	return items
}

// remark logs which words of an item have no effect.
func (p listenItem) remark(log logFunc) {
	if p.tag != "" {
		log(0, "-l %s: the tag has no effect: it is for memcached's proxy, which is not here", p.typed)
	}
	if _, known := listenProtocols[p.protocol]; p.protocol != "" && !known {
		log(0, "-l %s: no protocol %q (%s): served as -B says", p.typed, p.protocol,
			strings.Join(slices.Sorted(maps.Keys(listenProtocols)), ", "))
	}
}
