package config

import (
	"strings"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// A listener's label is the number by which package batch knows what its connections speak: the protocol, see proto.Protocol.Label, and one of
// contract.LabelTLS and its like. 0 is for what -B says, without TLS. Its name is how a server that is handed the socket is told.

// listenProtocols are the names that memcached knows in proto[]. What it does not know is served as -B says.
var listenProtocols = map[string]proto.Protocol{
	"ascii":       proto.ProtocolText,
	"binary":      proto.ProtocolBinary,
	"negotiating": proto.ProtocolAuto,
}

// tlsNames are the names of TLS in those of labels.
var tlsNames = map[string]uint8{"tls": contract.LabelTLS, "mtls": contract.LabelMutualTLS, "btls": contract.LabelBasicTLS}

// Label is the label of a name that LabelName has made, or of one in proto[]; 0: there is no such name.
func Label(name string) uint8 {
	tls, protocol, _ := strings.Cut(name, "-")
	bits, encrypted := tlsNames[tls]
	if !encrypted {
		protocol = name
	}
	if known, ok := listenProtocols[protocol]; ok {
		bits |= known.Label()
	}
	return bits
}

// LabelName is the name of a label: that in proto[], behind that of TLS if it has TLS; "" for 0.
func LabelName(label uint8) string {
	return strings.Trim(tlsName(label)+"-"+protocolName(label), "-")
}

func tlsName(label uint8) string {
	for name, tls := range tlsNames {
		if contract.TLSLabel(label) == tls {
			return name
		}
	}
	return ""
}

func protocolName(label uint8) string {
	for name, protocol := range listenProtocols {
		if contract.HandlerLabel(label) == protocol.Label() {
			return name
		}
	}
	return ""
}

// LabelWords is what the log says of a listener with the label: its protocol and TLS; "" for 0.
func LabelWords(label uint8) string {
	words := []string{protocolName(label)}
	switch contract.TLSLabel(label) {
	case contract.LabelTLS:
		words = append(words, "TLS")
	case contract.LabelMutualTLS:
		words = append(words, "TLS, certificates of clients required")
	case contract.LabelBasicTLS:
		words = append(words, "TLS, no certificates of clients")
	}
	return strings.TrimPrefix(strings.Join(words, ", "), ", ")
}

// SocketLabel is the label of a socket that was passed to this process under this name. One that a server hands over stays what it was. One that somebody
// else has opened is, with -Z, served over TLS.
func (c *Config) SocketLabel(name string, handedOver bool) uint8 {
	label := Label(name)
	if !handedOver && c.TLS.Enabled {
		label |= contract.LabelTLS
	}
	return label
}
