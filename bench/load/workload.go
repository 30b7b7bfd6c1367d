package load

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Workload says what the clients of a run do. The zero value is not usable; start from [DefaultWorkload] or a named
// one.
type Workload struct {
	Name  string `json:"name"`
	Title string `json:"title"`

	Connections int `json:"connections"`
	// Pipeline is how many requests a connection sends at once. The next group leaves when the whole last group is
	// answered, so that how many requests a server finds together is the workload's doing and not its own.
	Pipeline  int     `json:"pipeline"`
	KeySize   int     `json:"key_size"`
	ValueSize int     `json:"value_size"`
	Keys      int     `json:"keys"`
	KeyDist   string  `json:"key_dist"`
	ZipfS     float64 `json:"zipf_s,omitempty"`
	// Gets and Sets are the parts of the mix: 90 and 10 are nine gets for each set.
	Gets int `json:"gets"`
	Sets int `json:"sets"`
	// Multiget is how many keys one get asks for.
	Multiget int `json:"multiget"`
	// RequestsPerConnection is how many requests a connection lives for before it is closed and opened anew; 0 keeps
	// it for ever.
	RequestsPerConnection int `json:"requests_per_connection"`
	// Resume has connections over TLS resume the session of an earlier one, so that the server signs nothing. Plain ones it does not concern.
	Resume bool `json:"resume,omitempty"`
	// Transport is what requests go over: one of the Transport constants; empty is TCP.
	Transport string `json:"transport,omitempty"`
	// Protocol is what requests are written in: one of the Protocol constants; empty is text.
	Protocol string `json:"protocol,omitempty"`
	// Rate is how many requests per second arrive, all connections together, at times drawn from a Poisson process
	// (open loop). 0: each connection asks when it was answered (closed loop).
	Rate float64 `json:"rate,omitempty"`

	Common bool // of the named ones: part of a comparison that names none
}

// Transports by the names that the command line uses.
const (
	TransportTCP  = "tcp"
	TransportUnix = "unix" // a stream socket in the file system
	TransportUDP  = "udp"  // a request and a reply per datagram, with memcached's frame header
)

// Limits that keep a mistyped number from taking the machine down.
const (
	MaxConnections = 1 << 16
	maxPipeline    = 1 << 12
	maxMultiget    = 1 << 12
	maxValueSize   = 1 << 28
	maxSendMemory  = 1 << 30    // bytes: largest group of requests, times connections
	maxRate        = 10_000_000 // requests/s: drawing when each arrives takes time, too
)

// DefaultWorkload is the plainest one: gets of 64 B values over 50 connections, one request at a time.
func DefaultWorkload() Workload {
	return Workload{
		Name: "custom", Connections: 50, Pipeline: 1, KeySize: 20, ValueSize: 64, Keys: 100_000, KeyDist: Uniform,
		ZipfS: 0.99, Gets: 1, Multiget: 1,
	}
}

// workloadsJSON has the named workloads: what each has of its own.
//
//go:embed workloads.json
var workloadsJSON []byte

// Workloads are the named workloads, in the order in which commands run them. What is not common is run only if it is
// asked for by its own name.
func Workloads() []Workload {
	var rows []json.RawMessage
	Decode(workloadsJSON, &rows)
	all := make([]Workload, len(rows))
	for i, row := range rows {
		all[i] = DefaultWorkload()
		Decode(row, &all[i])
	}
	return all
}

// Decode reads JSON that is part of this program. It panics at a mistake, as is a word that nobody knows.
func Decode(text []byte, to any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil || d.More() {
		panic(fmt.Sprintf("%.100s: %v", text, cmp.Or(err, errors.New("more than one value"))))
	}
}

// CommonWorkloads is the name that stands for the workloads that are common.
const CommonWorkloads = "common"

// SelectWorkloads returns the named workloads in the order of the table.
func SelectWorkloads(names []string) ([]Workload, error) {
	var some []Workload
	known := []string{CommonWorkloads}
	for _, w := range Workloads() {
		known = append(known, w.Name)
		if slices.Contains(names, w.Name) || w.Common && slices.Contains(names, CommonWorkloads) {
			some = append(some, w)
		}
	}
	for _, n := range names {
		if err := OneOf("workload", n, known...); err != nil {
			return nil, err
		}
	}
	return some, nil
}

// Validate says what is wrong with the workload, naming the command line's flags.
func (w *Workload) Validate() error {
	err := cmp.Or(
		InRange("connections", w.Connections, 1, MaxConnections),
		InRange("pipeline", w.Pipeline, 1, maxPipeline),
		InRange("value-size", w.ValueSize, 0, maxValueSize),
		InRange("keys", w.Keys, 1, 1<<31),
		InRange("key-size", w.KeySize, minKeySize(w.Keys), MaxKeySize),
		InRange("multiget", w.Multiget, 1, maxMultiget),
		InRange("requests-per-connection", w.RequestsPerConnection, 0, 1<<31),
		InRange("ratio (gets)", w.Gets, 0, 1<<20),
		InRange("ratio (sets)", w.Sets, 0, 1<<20),
		InRange("rate", w.Rate, 0, maxRate),
		OneOf("transport", w.TransportOrTCP(), TransportTCP, TransportUnix, TransportUDP),
		OneOf("protocol", cmp.Or(w.Protocol, ProtocolText), ProtocolText, ProtocolMeta, ProtocolBinary),
		OneOf("key-dist", w.KeyDist, Uniform, Zipf),
	)
	switch {
	case err != nil:
		return err
	case w.Protocol == ProtocolMeta && w.Multiget > 1:
		return errors.New("multiget: mg asks for one key; send several at once with a pipeline")
	case w.Rate > 0 && w.Pipeline > 1:
		return errors.New("rate: requests arrive one by one, so the pipeline is 1")
	case w.Rate > 0 && w.RequestsPerConnection > 0:
		return errors.New("rate: connections are kept, so there are no requests-per-connection")
	case w.Gets+w.Sets == 0:
		return errors.New("ratio: gets and sets are both 0")
	case w.KeyDist == Zipf && !(w.ZipfS > 0 && w.ZipfS <= 10):
		return fmt.Errorf("zipf-s: %g is not in 0..10 (exclusive of 0)", w.ZipfS)
	case w.Keys*w.KeySize > maxKeyMemory:
		return fmt.Errorf("keys: %d keys of %d B need more than %d MiB", w.Keys, w.KeySize, maxKeyMemory>>20)
	case w.groupMax()*w.Connections > maxSendMemory:
		return fmt.Errorf("connections x pipeline x request: %d x %d B need more than %d MiB",
			w.Connections, w.groupMax(), maxSendMemory>>20)
	case w.Transport == TransportUDP:
		return w.validateDatagrams()
	}
	return nil
}

// TransportOrTCP is the Transport constant, that of TCP where none is named.
func (w *Workload) TransportOrTCP() string { return cmp.Or(w.Transport, TransportTCP) }

// SuitsNull reports that a NullServer can answer: all requests are of one length, all their replies too, and nothing
// tells them apart.
func (w *Workload) SuitsNull() bool {
	return (w.Gets == 0 || w.Sets == 0) && w.Transport != TransportUDP
}

var roundTimes = strings.NewReplacer("h0m0s", "h", "m0s", "m")

// InRange is the error for a flag whose value is not from low to high, or nil.
func InRange[T cmp.Ordered](flag string, value, low, high T) error {
	if value >= low && value <= high { // no NaN is
		return nil
	}
	return fmt.Errorf("%s: %s is not in %s..%s", flag, spell(value), spell(low), spell(high))
}

// spell is how a user writes the value of a flag: 1000000 and 24h, not 1e+06 and 24h0m0s.
func spell(value any) string {
	if f, ok := value.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return roundTimes.Replace(fmt.Sprint(value))
}

// AtLeast is the error for a flag whose value is below low, or nil.
func AtLeast[T cmp.Ordered](flag string, value, low T) error {
	if value >= low {
		return nil
	}
	return fmt.Errorf("%s: %s is below %s", flag, spell(value), spell(low))
}

// OneOf is the error for a flag whose value is none of some names, or nil.
func OneOf(flag, value string, names ...string) error {
	if slices.Contains(names, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is not one of %s", flag, value, strings.Join(names, ", "))
}
