package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ringcached/proto"
)

// listenItem is what one item of -l names: notls:proto[NAME]:tag[NAME]:host:port, of which all but the host may be missing.
type listenItem struct {
	typed    string
	host     string // "": every interface
	port     int    // noPort: that of -p or -U
	protocol string // "": that of -B
	tag      string
}

// noPort is the port of an item that names none.
const noPort = -2

// listenProtocols are the names that memcached knows in proto[]. What it does not know is served as -B says.
var listenProtocols = map[string]proto.Protocol{
	"ascii":       proto.ProtocolText,
	"binary":      proto.ProtocolBinary,
	"negotiating": proto.ProtocolAuto,
}

// label is the number that stands for the listener's protocol in package batch, see proto.Protocol.Label. 0 is for what -B says.
func (p listenItem) label() uint8 { return ProtocolLabel(p.protocol) }

// ProtocolLabel is the label of a name in proto[]; 0: there is no such name.
func ProtocolLabel(name string) uint8 {
	if protocol, known := listenProtocols[name]; known {
		return protocol.Label()
	}
	return 0
}

// LabelName is the name in proto[] that the label was made from; "" for 0.
func LabelName(label uint8) string {
	for name, protocol := range listenProtocols {
		if label == protocol.Label() {
			return name
		}
	}
	return ""
}

// parseListen takes the values of -l apart: their items are separated by commas or semicolons, and empty ones count for nothing.
func parseListen(values []string) (items []listenItem, err error) {
	for _, value := range values {
		for typed := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ';' }) {
			if typed = strings.TrimSpace(typed); typed == "" {
				continue
			}
			p, err := parseListenItem(typed)
			if err != nil {
				return nil, fmt.Errorf("-l, --listen: %q: %w", typed, err)
			}
			items = append(items, p)
		}
	}
	if len(values) > 0 && len(items) == 0 {
		return nil, fmt.Errorf("-l, --listen: no address in %q (* is every interface)", strings.Join(values, ","))
	}
	return items, nil
}

func parseListenItem(typed string) (p listenItem, err error) {
	p = listenItem{typed: typed, port: noPort}
	rest := typed
	for more := true; more; {
		if rest, more, err = p.prefix(rest); err != nil {
			return p, err
		}
	}
	switch {
	case rest == "":
		return p, errors.New("no address behind the prefix")
	case strings.Contains(rest, "/"):
		return p, errors.New("a unix socket is listened on with -s")
	}
	return p, p.split(rest)
}

// longestTag is memcached's limit.
const longestTag = 8

// prefix takes one prefix off the item, if it begins with one.
func (p *listenItem) prefix(item string) (rest string, found bool, err error) {
	for _, tls := range []string{"notls:", "btls:", "mtls:"} {
		if strings.HasPrefix(item, tls) {
			return "", false, fmt.Errorf("%s is for memcached with -Z: there is no TLS here", tls)
		}
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

// withoutProtocols are items for datagrams, each of which shows its protocol.
func withoutProtocols(items []listenItem) []listenItem {
	items = slices.Clone(items)
	for i := range items {
		items[i].protocol = ""
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
